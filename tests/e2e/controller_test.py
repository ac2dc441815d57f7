"""The controller as a program: `init`, what it says where there is no estate, signals, its log."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from estate import DONE, Process, check, check_equal, free_port, program, run, step, wait_for


def controller(home, *arguments):
    return subprocess.run([program("ember-controller"), *arguments], env={**os.environ, "HOME": home}, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read(path):
    with open(path) as file:
        return file.read()


def initialise(home, state):
    result = controller(home, "--state-dir", state)
    check(result.returncode == 1 and "init" in result.stdout, f"started without an estate: {result}")
    for wrong in ("7443", "nowhere"):
        result = controller(home, "--state-dir", state, "--listen", wrong, "init")
        check(result.returncode == 2 and "HOST:PORT" in result.stdout, f"--listen {wrong}: {result}")
    check(not os.path.exists(f"{state}/ca"), "a refused init left a CA behind")
    result = controller(home, "init", "--state-dir", state, "--listen", "127.0.0.2:7455")
    check_equal(result.returncode, 0, f"init: {result.stdout}")
    kit = f"{state}/recovery-kit.txt"
    check(kit in result.stdout and os.path.exists(kit), f"where is the recovery kit? {result.stdout}")
    check_equal(read(f"{home}/.config/ember/em"), "127.0.0.2:7455\n", "the controller that `ember` will ask")
    check_equal(os.stat(f"{home}/.config/ember/identity/key.pem").st_mode & 0o077, 0, "others' rights to the key")
    kit_before = read(kit)
    result = controller(home, "--state-dir", state, "init")
    check(result.returncode != 0 and "already" in result.stdout, f"a second init: {result}")
    check_equal(read(kit), kit_before, "the recovery kit after a second init")
    step("init: once, with the admin's identity installed; without an estate it says what to do")


def serve(home, state, log):
    em = f"127.0.0.1:{free_port()}"
    config = f"{home}/controller.toml"
    with open(config, "w") as file:
        file.write('advertise = "first:7443"\n')
    process = Process([program("ember-controller"), "--state-dir", state, "--listen", em, "--log-json",
                       "--config", config], log, {"HOME": home})
    environment = {**os.environ, "HOME": home, "EMBER_EM": em}
    environment.pop("EMBER_IDENTITY", None)

    def ember(*arguments):
        return subprocess.run([program("ember"), *arguments], env=environment, timeout=60, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def status():
        return ember("status", "--json")

    def advertised():
        token = ember("node", "token", "n1").stdout.split()[0].removeprefix("ember1.")
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))

    def reload(text, message):
        with open(config, "w") as file:
            file.write(text)
        process.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: message in read(log), 10, f"'{message}' in its log after SIGHUP")

    try:
        # The identity that init installed is enough.
        wait_for(lambda: status().returncode == DONE, 30, "the controller answers")
        check(b"first:7443" in advertised(), "the token does not say what --config advertises")
        reload('advertise = "second:7443"\n', "--config was read again")
        check(b"second:7443" in advertised(), "the token does not say what --config advertises since SIGHUP")
        reload("no such option = 1\n", "--config is not valid")
        check(b"second:7443" in advertised(), "an invalid --config changed something")
        check_equal(status().returncode, DONE, "`ember status` after SIGHUP")
        asked = time.monotonic()
        check_equal(process.kill(signal.SIGTERM, seconds=10), 0, "the exit code after SIGTERM")
        step(f"SIGHUP reads --config again, SIGTERM ends it in {time.monotonic() - asked:.1f} s")
    finally:
        process.kill()
    lines = [json.loads(line) for line in read(log).splitlines()]
    check(any(line.get("message") == "serving" for line in lines), f"no line says that it serves: {lines[:3]}")
    step(f"--log-json: {len(lines)} lines, each a JSON object")


def test():
    directory = tempfile.mkdtemp(prefix="ember-controller-")
    try:
        home, state = f"{directory}/home", f"{directory}/state"
        os.makedirs(home)
        initialise(home, state)
        serve(home, state, f"{directory}/log")
    finally:
        shutil.rmtree(directory)


run(test, limit_seconds=100, root=False)
