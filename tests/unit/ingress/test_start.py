"""What keeps the ingress from ever reaching Kafka is said before it serves: by then nobody reads it."""

import os
import subprocess
import sys


def test_certificates_that_are_no_use_end_it_with_a_sentence_and_the_code_for_usage(tmp_path):
    settings = {
        "METRIPORT_WEBHOOK_KEYS": "wh-key_0123456789",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CAFILE": str(tmp_path / "missing.pem"),
        "SPOOL_DIR": str(tmp_path / "spool"),
        "INGRESS_HOST": "127.0.0.1",
        "INGRESS_PORT": "0",
    }

    ended = subprocess.run(
        [sys.executable, "-m", "ingress"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr == "ingress: The KAFKA_SSL_* files cannot be used: No such file or directory.\n"
    assert ended.stdout == ""
