"""Where the demo keeps its things, where it listens, and which programs it is made of."""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from verifywise.demo.cases import ORGANIZATIONS
from verifywise.demo.models import Organization
from verifywise.programs import (
    HOST,
    PORTS,
    Program,
    ProgramError,
    free_port_or_reason,
    port_of,
)

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One demo: its folder and its ports, as the environment tells them."""

    data: Path
    port: int
    mlflow_port: int  # of the first organization; the others follow

    @classmethod
    def from_environment(cls) -> Site:
        """Read PORT, MLFLOW_PORT and DATA_DIR. Raises ProgramError, naming the variable."""
        data = Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser().absolute()
        site = cls(
            data=data,
            port=port_of("PORT", default=8000),
            mlflow_port=port_of("MLFLOW_PORT", default=5050),
        )
        try:
            (site.folder / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProgramError(
                f"DATA_DIR is {data}, which cannot be used: {error.strerror}."
            ) from None
        return site

    @property
    def folder(self) -> Path:
        return self.data / "demo"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the site for this process alone. Raises ProgramError, naming the variable."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ProgramError(
                    f"A demo runs from {self.data} already: stop it, or set DATA_DIR."
                ) from None
            self._check_ports()
            yield

    def _check_ports(self) -> None:
        wanted = [("PORT", self.port, self.port)]
        for _, port in self.servers():
            wanted.append(("MLFLOW_PORT", self.mlflow_port, port))
            if port == self.port:
                raise ProgramError(
                    f"PORT and MLFLOW_PORT both ask for port {port}: the demo takes "
                    f"MLFLOW_PORT and the next one. Set one of them to another."
                )
        for variable, value, port in wanted:
            if trouble := free_port_or_reason(port):
                other = value + 1000 if value < PORTS.stop - 1000 else value - 1000
                raise ProgramError(
                    f"Port {port} cannot be used: {trouble}. Set {variable} to another, "
                    f"as in `make demo {variable}={other}`."
                )

    def servers(self) -> Iterator[tuple[Organization, int]]:
        """Yield each organization with the port of its MLflow."""
        for index, organization in enumerate(ORGANIZATIONS):
            yield organization, self.mlflow_port + index

    def mlflow_folder(self, organization: Organization) -> Path:
        return self.folder / f"mlflow-{organization.slug}"

    def password(self) -> str:
        """Return the password of the demo's people: given, or made once and kept."""
        if given := os.environ.get("VERIFYWISE_ADMIN_PASSWORD"):
            return given
        kept = self.folder / "password"
        if not kept.exists():
            kept.touch(mode=0o600)
            kept.write_text(secrets.token_urlsafe(12), encoding="ascii")
        return kept.read_text(encoding="ascii")

    def mlflow(self, organization: Organization, *, port: int) -> Program:
        """Return its server. The paths are relative: no folder's name can break a URI."""
        return self._program(
            f"The MLflow of {organization.name}",
            *("-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"),
            *("--serve-artifacts", "--artifacts-destination", "./artifacts"),
            log=f"mlflow-{organization.slug}",
            folder=self.mlflow_folder(organization),
            as_group=True,
        )

    def seeder(self, organization: Organization, *arguments: str, port: int) -> Program:
        return self._program(
            f"The training of the models of {organization.name}",
            *("-m", "verifywise.demo.registry", "--url", f"http://{HOST}:{port}"),
            *("--organization", organization.slug, *arguments),
            log="-".join(("seed", organization.slug, *arguments)),
        )

    def command(self, name: str, *arguments: str, log: str = "") -> Program:
        return self._program(
            f"manage.py {name}", "manage.py", name, *arguments, log=log or name
        )

    def console(self) -> Program:
        return self._program(
            "The console",
            *("-m", "gunicorn", "verifywise.wsgi", "--bind", f"{HOST}:{self.port}"),
            *("--workers", "2", "--graceful-timeout", "3"),
            "--no-control-socket",  # its path is one per user, not one per server
            log="console",
        )

    def _program(
        self,
        name: str,
        *arguments: str,
        log: str,
        folder: Path = ROOT,
        as_group: bool = False,
    ) -> Program:
        return Program(
            name=name,
            command=(sys.executable, *arguments),
            folder=folder,
            log=self.folder / "logs" / f"{log}.log",
            environment=self._environment(),
            as_group=as_group,
        )

    def _environment(self) -> Mapping[str, str]:
        """Return ours, but for what would keep a demo on this machine from working."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MLFLOW_")
        }
        return inherited | {
            "DATA_DIR": str(self.data),
            "VERIFYWISE_ADMIN_PASSWORD": self.password(),
            "VERIFYWISE_ALLOW_PRIVATE_NETWORKS": "yes",
            "VERIFYWISE_HTTPS": "no",
            "ALLOWED_HOSTS": f"{HOST},localhost",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }
