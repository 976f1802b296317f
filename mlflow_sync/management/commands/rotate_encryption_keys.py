"""Re-encrypt every stored secret with the newest key of FIELD_ENCRYPTION_KEY."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import audit, tenancy
from accounts.models import Organization
from mlflow_sync.exceptions import UndecryptableSecret
from mlflow_sync.models import KeyCanary, TrackingServerSecret, WebhookSecret


class Command(BaseCommand):
    help = "Re-encrypt every stored secret with the newest key of FIELD_ENCRYPTION_KEY."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():  # all or none: the old key may go afterwards
                total = sum(self.rotate(each) for each in Organization.objects.all())
                for canary in KeyCanary.objects.all():
                    canary.save()
        except UndecryptableSecret as error:
            raise CommandError(
                f"{error} Add the key it was encrypted with behind the newest one. "
                "Nothing was changed."
            ) from error
        self.stdout.write(f"{total} credentials are encrypted with the newest key.")

    def rotate(self, organization: Organization) -> int:
        with tenancy.acting_for(organization, origin="command"):
            secrets = [
                *TrackingServerSecret.objects.all(),
                *WebhookSecret.objects.all(),
            ]
            for secret in secrets:
                secret.save()
            if secrets:
                audit.record("credentials.reencrypted", changes={"count": len(secrets)})
        return len(secrets)
