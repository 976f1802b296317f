"""Where MLflow sends its webhook deliveries: no session, no token, but a signature.

The path carries the organization's slug, and it is entered before the signature is
checked: secrets are behind its wall. Faults that the sender can see by itself are told
in full; who is not believed gets one answer, whatever the reason.
"""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest
from rest_framework import exceptions, serializers, status
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import tenancy
from accounts.models import Organization
from inventory.models import NAME_LENGTH
from mlflow_sync.webhooks import endpoints
from mlflow_sync.webhooks.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    Message,
)

LARGEST = 1024 * 1024  # bytes of a body
DUPLICATE = "duplicate"
# Where the slug is of none: no row is visible there, and it takes as long to find out.
NOBODY = Organization(pk=0, name="")


class NotBelieved(exceptions.APIException):
    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = (
        "There is no such webhook, or this delivery is not signed with its secret."
    )


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"A delivery may have {LARGEST:,} bytes. Nothing of this was read."


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Content-Length is missing."


class EventSerializer(serializers.Serializer[Any]):
    """The envelope of every event of MLflow."""

    entity = serializers.CharField(max_length=50)
    action = serializers.CharField(max_length=50)
    workspace = serializers.CharField(required=False, allow_null=True, default="")
    data = serializers.DictField(  # type: ignore[assignment] # DRF takes it off the class
        required=False, default=dict
    )


class ModelSerializer(serializers.Serializer[Any]):
    """What the data of all events that are followed has in common."""

    name = serializers.CharField(max_length=NAME_LENGTH, trim_whitespace=False)


class Receiver(APIView):
    """Takes deliveries and answers at once: nothing is asked of MLflow meanwhile."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JSONParser,)
    http_method_names = ("post",)
    metadata_class = None
    schema = None  # it is MLflow's contract, not ours

    def post(self, request: Request, slug: str, key: str) -> Response:
        message = _message(request._request)
        acting = tenancy.current()
        if acting is not None and acting.actor is not None:
            raise exceptions.ParseError("Deliveries come without anybody's session.")
        organization = Organization.objects.filter(slug=slug, closed_at=None).first()
        with tenancy.acting_for(organization or NOBODY, origin="webhook"):
            endpoint = endpoints.sender(key, message)
            if endpoint is not None:
                told = _told(request)
                taken = endpoints.receive(endpoint.server, message.delivery_id, told)
        if endpoint is None:  # outside, so that the note of it is committed
            raise NotBelieved
        if taken is None:
            return Response({"outcome": DUPLICATE})
        return Response({"outcome": taken.outcome}, status=status.HTTP_202_ACCEPTED)


def _message(request: HttpRequest) -> Message:
    """Return what was sent; raise what is wrong with it, whoever sent it."""
    if request.content_type != "application/json":
        raise exceptions.UnsupportedMediaType(request.content_type or "")
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise LengthRequired
    if int(length) > LARGEST:
        raise TooLarge
    message = Message(
        delivery_id=request.headers.get(ID_HEADER, ""),
        sent_at=request.headers.get(TIME_HEADER, ""),
        signatures=request.headers.get(SIGNATURE_HEADER, ""),
        body=request.body,
    )
    if faults := message.faults(at=time.time()):
        raise exceptions.ValidationError(faults)
    return message


def _told(request: Request) -> endpoints.Told:
    """Read the body of a delivery; raise ValidationError where it is none of MLflow's."""
    try:
        envelope = EventSerializer(data=request.data)
    except RecursionError:
        raise exceptions.ParseError("The JSON is nested too deep.") from None
    envelope.is_valid(raise_exception=True)
    told = envelope.validated_data
    event = f"{told['entity']}.{told['action']}"
    if event not in endpoints.EVENTS:
        return endpoints.Told(event=event)
    data = ModelSerializer(data=told["data"])
    if not data.is_valid():
        raise exceptions.ValidationError({"data": data.errors})
    return endpoints.Told(
        event=event,
        model_name=data.validated_data["name"],
        workspace=told["workspace"] or "",
    )
