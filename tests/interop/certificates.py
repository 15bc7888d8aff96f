# SPDX-License-Identifier: Apache-2.0
"""Certificates of our own for a run, made by the openssl command and removed at its end: a root, an
intermediate, a server's and a client's below that, and a root that has signed nothing."""
import atexit
import os
import shutil
import subprocess
import tempfile

_folder = None

EXTENSIONS = {
    "ca": "basicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign\n",
    "server": "subjectAltName = DNS:localhost, IP:127.0.0.1\nextendedKeyUsage = serverAuth\n",
    "client": "extendedKeyUsage = clientAuth\n",
}


def _openssl(*arguments):
    done = subprocess.run(["openssl"] + list(arguments), capture_output=True, text=True,
                          timeout=60)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(arguments), done.stderr))


def _make(folder, name, subject, kind, issuer=None):
    """NAME.key and NAME.pem, self-signed or by ISSUER."""
    at = os.path.join(folder, name)
    extensions = at + ".ext"
    with open(extensions, "w", encoding="ascii") as out:
        out.write(EXTENSIONS[kind])
    _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", at + ".key", "-out", at + ".csr", "-subj", "/CN=" + subject)
    by = os.path.join(folder, issuer) if issuer else None
    sign = ["-CA", by + ".pem", "-CAkey", by + ".key"] if by else ["-signkey", at + ".key"]
    _openssl("x509", "-req", "-in", at + ".csr", "-out", at + ".pem", "-days", "2",
             "-set_serial", str(len(os.listdir(folder))), "-extfile", extensions, *sign)


def folder():
    """Where they are: ca.pem, other-ca.pem, server.{pem,key}, client.{pem,key}; each chain begins
    with its own certificate. Programs in other languages find it in INTEROP_CERTIFICATES."""
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix="whimbrel-certificates.")
        atexit.register(shutil.rmtree, _folder, True)
        _make(_folder, "ca", "Interop Root", "ca")
        _make(_folder, "other-ca", "Another Root", "ca")
        _make(_folder, "between", "Interop Intermediate", "ca", "ca")
        for name, subject in (("server", "localhost"), ("client", "alice")):
            _make(_folder, name, subject, name, "between")
            with open(path(name + ".pem"), "a", encoding="ascii") as chain, \
                    open(path("between.pem"), encoding="ascii") as between:
                chain.write(between.read())
        os.environ["INTEROP_CERTIFICATES"] = _folder
    return _folder


def path(name):
    return os.path.join(folder(), name)


def settings(use):
    """The lines of a configuration file."""
    return ('tls = "%s"\ntls-certificate = "%s"\ntls-key = "%s"\n'
            % (use, path("server.pem"), path("server.key")))
