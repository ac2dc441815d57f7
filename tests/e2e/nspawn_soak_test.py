"""The soak where each host is a container that boots systemd: see soak_test.py."""
import os

os.environ["EMBER_SOAK_HOSTS"] = "nspawn"
import soak_test  # noqa: E402,F401: it runs when it is imported
