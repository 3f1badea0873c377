"""Whom TLS trusts: the server's certificate and name are verified, unless it is written that they are not to be."""

from __future__ import annotations

import ssl
from typing import Final

from cacheaside.errors import DeclarationError

__all__ = ["tls_context"]

_VERIFY: Final = {None: True, "yes": True, "no": False}


def tls_context(
    ca: str | None = None, cert: str | None = None, key: str | None = None, verify: str | None = None
) -> ssl.SSLContext:
    """For connections to servers; reads the files it is given.

    ca: PEM file of the authorities to trust, and no others; None: those that the system trusts. cert, key: PEM files to
    show to a server that asks who connects; the first may hold both. verify: "no" trusts whoever answers.
    Raises `DeclarationError`, with a line that quotes none of them.
    """
    if verify not in _VERIFY:
        raise DeclarationError("TLS: verify is yes or no; without it, certificates are verified.")
    if key is not None and cert is None:
        raise DeclarationError("TLS: there is a key alone; write the file of its certificate as cert=.")
    if ca is not None and not _VERIFY[verify]:
        raise DeclarationError(
            "TLS: ca says whom to trust, and verify=no trusts everyone; leave one of them out."
        )
    context = _trusting(ca)
    if cert is not None:
        _show(context, cert, key)
    if not _VERIFY[verify]:
        context.check_hostname = False  # first: without it no certificate is asked for
        context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        problem = _problem(error)
    raise DeclarationError(
        f"TLS: the file named by ca gives no certificate ({problem}); write the path of a PEM file."
    )


def _show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    try:
        # An encrypted key would be asked for on the terminal: this answers with nothing instead.
        context.load_cert_chain(cert, key, password=bytes)
    except (OSError, ValueError) as error:
        problem = _problem(error)
    else:
        return
    raise DeclarationError(
        f"TLS: the files named by cert and key are not loaded ({problem}); write the paths of a PEM certificate and of "
        "its PEM key, without a passphrase."
    )


def _problem(error: OSError | ValueError) -> str:
    """In words that quote no path."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or "no path"
