"""Certificates for a lab with TLS: a CA, one certificate per host, one for the client."""

from dataclasses import dataclass
from pathlib import Path

from tests.lab.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificates:
    """What a client of a TLS lab needs, as paths of PEM files."""

    ca: Path
    certificate: Path
    key: Path


def certificate_folder(layout: Layout) -> Path:
    """Where the lab keeps its certificates."""
    return layout.folder / "tls"


def client_certificates(layout: Layout) -> ClientCertificates:
    """The client's certificate and the CA that signed the hosts'."""
    folder = certificate_folder(layout)
    return ClientCertificates(
        ca=folder / "ca.pem", certificate=folder / "client.pem", key=folder / "client.key"
    )


def issue(layout: Layout) -> None:
    """Make a new CA and everything it signs."""
    import trustme  # noqa: PLC0415 - a lab without TLS needs nothing but the standard library

    folder = certificate_folder(layout)
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    subjects = {host.name: (host.address, host.name) for host in layout.hosts.values()}
    for name, identities in {**subjects, "client": ("rota@lab.example",)}.items():
        issued = authority.issue_cert(*identities)
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
