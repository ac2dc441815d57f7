"""What must be refused is refused, says why, and disturbs nobody: estate files, peers, tokens, doubles, clocks."""
import base64
import json
import os
import shutil
import subprocess
import threading

from estate import (DONE, PARTIAL, REFUSED, UNREACHABLE, USAGE, Estate, Process, check, check_equal, disk_bytes, exec_service, files,
                    free_port, program, run, run_checked, step, tool, wait_for)

DAY = 86400

# name -> (text, what the error must say)
ESTATE_FILES = {
    "unknown key": ("vaults:\n  - {name: nas, nod: n1, path: /x}\n", ["bad.yaml:2:17", "nod", "node"]),
    "no YAML": ("workloads: [\n", ["bad.yaml:2:1"]),
    "cycle": ("workloads:\n  - {name: a, node: n1, depends_on: [b]}\n  - {name: b, node: n1, depends_on: [a]}\n",
              ["bad.yaml:", "circle"]),
    "unknown name": ("workloads:\n  - {name: a, node: n1, depends_on: [databse]}\n  - {name: database, node: n1}\n",
                     ["bad.yaml:2:38", "databse", "database"]),
    "contradiction": ("settings: {lease: 60s, dead_after: 45s}\n", ["bad.yaml:1:", "dead_after"]),
    "wrong type": ("workloads: 7\n", ["bad.yaml:1:12"]),
    "twice": ("workloads:\n  - {name: a, node: n1}\n  - {name: a, node: n2}\n", ["bad.yaml:3:12", "repeated"]),
    "binary": ("\x00\x01\x02", ["bad.yaml:1:1"]),
    "deep": ("[" * 5000, ["bad.yaml:1:"]),
}


def estate_files(estate):
    before = estate.ember("export").out
    for text, said in ESTATE_FILES.values():
        path = f"{estate.work}/bad.yaml"
        with open(path, "w") as file:
            file.write(text)
        estate.ember("apply", "-f", path, "--yes", check_code=USAGE).expect_text(*said)
    estate.ember("apply", "-f", "/no/such/file", check_code=USAGE)
    estate.ember("apply", "-f", "/dev/urandom", check_code=USAGE)
    check_equal(estate.ember("export").out, before, "the estate after files that were refused")
    step(f"{len(ESTATE_FILES) + 2} bad estate files refused with their positions")


def apply_asks(estate):
    """What would remove something is asked for; the estate's own export changes nothing."""
    before = estate.ember("export").out
    check_equal(estate.ember("apply", "-f", "-", "--json", stdin=before.encode()).json.get("plan", []), [],
                "the plan of the estate's own export")
    with_less = {"vaults": [], "policies": [], "workloads": []}
    path = f"{estate.work}/less.json"
    with open(path, "w") as file:
        json.dump(with_less, file)
    estate.ember("apply", "-f", path, check_code=REFUSED)
    estate.ember("apply", "-f", path, "--dry-run").expect_text("svc")
    check_equal(estate.ember("export").out, before, "the estate after a refused apply and a dry run")
    step("apply asks before it removes")


def unstable_sources(estate):
    """What changes while it is read makes the backup PARTIAL, and is listed."""
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    good = estate.backup("svc")["id"]
    changing = f"{n1.srv}/data/changing"
    with open(changing, "wb") as file:
        file.write(os.urandom(64 << 20))
    stop = threading.Event()

    def change():
        with open(changing, "r+b", buffering=0) as file:
            while not stop.is_set():
                file.seek(0)
                file.write(os.urandom(4096))

    writer = threading.Thread(target=change)
    writer.start()
    try:
        partial = estate.backup("svc", code=PARTIAL)
    finally:
        stop.set()
        writer.join()
    listed = [base64.b64decode(problem["path"]).decode() if not problem["path"].startswith(("/", "tmp")) else
              problem["path"] for problem in partial["problems"]]
    check_equal(partial["outcome"], "PARTIAL", "a backup of a file that changes")
    check(any("changing" in path for path in listed), f"the changing file is not listed: {partial['problems']}")
    check_equal(estate.workload("svc")["last_backup"], good, "the last good backup after a PARTIAL one")
    os.unlink(changing)
    step("a file that changes while it is read: PARTIAL, listed, and no good backup")

    # Its directory was read before; it is gone when its turn comes, after a long file.
    long, gone = f"{n1.srv}/data/a-long-file", f"{n1.srv}/data/z-gone"
    with open(long, "wb") as file:
        for _ in range(30):
            file.write(os.urandom(8 << 20))
    open(gone, "w").close()
    before = disk_bytes(f"{n2.directory}/vault")
    running = estate.begin("backup", "run", "svc", "--json")
    wait_for(lambda: disk_bytes(f"{n2.directory}/vault") > before + (4 << 20), 30, "the long file is read", pause=0.02)
    os.unlink(gone)
    out, err = running.communicate(timeout=120)
    check_equal(running.returncode, PARTIAL, f"a backup from which a file vanished: {err.decode()}")
    check("z-gone" in out.decode(), f"what vanished is not listed: {out.decode()}")
    check_equal(estate.workload("svc")["last_backup"], good, "the last good backup after a PARTIAL one")
    os.unlink(long)
    step("a file that vanishes while others are read: PARTIAL, listed")


def ghosts(estate):
    """A genuine certificate of a node that never joined."""
    admin = f"{estate.em_state}/admin"
    ghost = copy_identity(estate, "ghost", admin)
    uri = uri_of(f"{admin}/cert.pem").replace("/admin/admin", "/agent/ghost")
    make_certificate(ghost, f"{estate.em_state}/ca/cert.pem", f"{estate.em_state}/ca/key.pem", 10, uri)
    before = refusals(estate)
    estate.ember("beat", "svc", check_code=REFUSED, identity=ghost)
    wait_for(lambda: refusals(estate) > before, 10, "an event tells of the node that never joined")
    step("a certificate of a node that never joined is refused")


def refusals(estate):
    return len(estate.events("peer.refused"))


def copy_identity(estate, name, source):
    directory = f"{estate.work}/identity-{name}"
    shutil.copytree(source, directory)
    return directory


def make_certificate(directory, ca_cert, ca_key, days, uri):
    """A key and a certificate as the estate's CA makes them, signed by whom one likes."""
    run_checked("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=admin",
                "-keyout", f"{directory}/key.pem", "-out", f"{directory}/csr.pem")
    with open(f"{directory}/extensions", "w") as file:
        file.write(f"subjectAltName=URI:{uri}\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n")
    run_checked("openssl", "x509", "-req", "-in", f"{directory}/csr.pem", "-CA", ca_cert, "-CAkey", ca_key,
                "-CAcreateserial", "-CAserial", f"{directory}/serial", "-days", str(days), "-extfile",
                f"{directory}/extensions", "-out", f"{directory}/cert.pem")


def uri_of(certificate):
    text = run_checked("openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName")
    return next(word for word in text.replace(",", " ").split() if word.startswith("URI:")).removeprefix("URI:")


def peers(estate):
    admin = f"{estate.em_state}/admin"
    foreign = copy_identity(estate, "foreign", admin)
    ca = f"{estate.work}/foreign-ca"
    os.mkdir(ca)
    run_checked("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=Ember estate CA", "-keyout", f"{ca}/key.pem", "-out", f"{ca}/cert.pem", "-days", "10")
    make_certificate(foreign, f"{ca}/cert.pem", f"{ca}/key.pem", 10, uri_of(f"{admin}/cert.pem"))
    expired = copy_identity(estate, "expired", admin)
    make_certificate(expired, f"{estate.em_state}/ca/cert.pem", f"{estate.em_state}/ca/key.pem", -1,
                     uri_of(f"{admin}/cert.pem"))
    for name, identity in (("of another CA", foreign), ("expired", expired)):
        before = refusals(estate)
        answer = estate.ember("node", "list", check_code=None, identity=identity)
        check(answer.code in (REFUSED, UNREACHABLE), f"a certificate {name}: exit code {answer.code}\n{answer.err}")
        wait_for(lambda: refusals(estate) > before, 10, f"an event tells of the certificate {name}")
        step(f"a certificate {name} is refused (exit code {answer.code})")

    unknown = copy_identity(estate, "unknown-ca", admin)
    shutil.copy(f"{ca}/cert.pem", f"{unknown}/ca.pem")
    answer = estate.ember("node", "list", check_code=None, identity=unknown)
    check(answer.code in (REFUSED, UNREACHABLE), f"an EM of another CA: exit code {answer.code}\n{answer.err}")

    before = refusals(estate)
    agent = f"{estate.nodes['n1'].state}/identity"
    estate.ember("node", "list", check_code=REFUSED, identity=agent)
    wait_for(lambda: refusals(estate) > before, 10, "an event tells of the wrong role")
    step("an EM of another CA and a wrong role are refused")


def revoked(estate):
    """n3 is removed while its agent runs: whatever it says from now on is refused."""
    n3 = estate.nodes["n3"]
    before = refusals(estate)
    estate.ember("node", "remove", "n3", "--yes")
    wait_for(lambda: refusals(estate) > before, 20, "an event tells of the revoked agent")
    check(all(node["name"] != "n3" or node["state"] == "REVOKED" for node in estate.ask("node", "list")["items"]),
          "n3 is still a node")
    n3.agent.kill()
    step("a revoked agent is refused")


def join(token, state):
    result = subprocess.run([program("ember-agent"), "join", token, "--state-dir", state], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=60)
    return result.returncode, result.stdout.decode(errors="replace")


def another_estate(estate):
    """Orders, epochs and configuration of one estate mean nothing in another: the directory is not taken over."""
    state, address = f"{estate.work}/em2", f"127.0.0.1:{free_port()}"
    command = [program("ember-controller"), "--state-dir", state, "--listen", address]
    run_checked(*command, "init", "--no-install")
    em = Process(command, f"{estate.logs}/em2.log")
    environment = {**os.environ, "EMBER_EM": address, "EMBER_IDENTITY": f"{state}/admin", "HOME": estate.work}

    def token():
        answer = subprocess.run([program("ember"), "node", "token", "n3", "--em-address", address], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return answer.stdout.decode().split() if answer.returncode == DONE else None

    try:
        word = wait_for(token, 30, "a token of the other estate")[0]
        code, text = join(word, estate.nodes["n3"].state)
        check_equal(code, REFUSED, f"exit code of a join with the state of another estate ({text})")
        check("another estate" in text and "ember-agent down" in text, f"what it says: {text}")
        code, text = join(word, f"{estate.work}/fresh")
        check_equal(code, DONE, f"exit code of a join with a fresh directory ({text})")
    finally:
        em.kill()
    step("an agent's directory is not taken into another estate")


def check_join_refused(estate, token, name):
    state = f"{estate.work}/joiner"
    before = refusals(estate)
    code, text = join(token, state)
    check_equal(code, REFUSED, f"exit code of a join with {name} ({text})")
    check(refusals(estate) > before, f"no event tells of the join with {name}")
    check(not os.path.exists(f"{state}/identity/cert.pem"), f"a join with {name} left a certificate")


def tokens(estate):
    token = estate.token("n7")
    prefix, body = token.split(".", 1)
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    changed = base64.urlsafe_b64encode(raw.replace(b"n7", b"n8")).decode()
    check_join_refused(estate, f"{prefix}.{changed}", "a token for another node")
    code, text = join(token[:-9], f"{estate.work}/joiner")
    check_equal(code, USAGE, f"exit code of a join with half a token ({text})")
    code, text = join(token, f"{estate.work}/n7")
    check_equal(code, DONE, f"exit code of the right join ({text})")
    check_join_refused(estate, token, "a used token")
    estate.ember("node", "remove", "n7", "--yes")
    step("tokens: of another node, cut off, used twice: refused")


def doubles(estate):
    """A copy of n1's state directory, as a cloned disk has it."""
    n1 = estate.nodes["n1"]
    pid = n1.pid("tail -f")
    copy = f"{estate.work}/copy"
    # What is being written at the moment has no name yet.
    shutil.copytree(n1.state, copy, ignore=shutil.ignore_patterns("*.tmp.*"))
    double = Process([program("ember-agent"), "--state-dir", copy, "--name", "n1", "--listen",
                      f"127.0.0.1:{free_port()}"], f"{estate.logs}/double.log")
    try:
        wait_for(lambda: not double.running(), 30, "the second agent of one name ends")
    finally:
        double.kill()
    check_equal(double.popen.returncode, REFUSED, "exit code of the second agent")
    check(estate.events("node.duplicate", "n1"), "no event tells of the double")
    check(n1.agent.running(), "the first agent ended")
    check_equal((estate.node("n1")["state"], n1.pid("tail -f")), ("ALIVE", pid), "n1 and its service's process")
    same = Process([program("ember-agent"), "--state-dir", n1.state, "--name", "n1", "--listen",
                    f"127.0.0.1:{free_port()}"], f"{estate.logs}/same.log")
    check(same.popen.wait(20) != 0, "a second agent ran on one state directory")
    step("a second agent with one name is refused; the first goes on")


def clock_off(seconds):
    return {"LD_PRELOAD": tool("libember-clock-offset.so"), "CLOCK_OFFSET_SECONDS": str(seconds)}


def clocks(estate):
    n1 = estate.nodes["n1"]
    pid = n1.pid("tail -f")
    for name, seconds in (("a day ahead", DAY), ("a day behind", -DAY)):
        n1.stop_agent()
        n1.start(environment=clock_off(seconds))
        wait_for(lambda: abs(estate.node("n1")["clock_skew_seconds"] - seconds) < 60, 30, f"a clock {name}")
        check_equal((estate.node("n1")["state"], n1.pid("tail -f")), ("ALIVE", pid), f"n1 with a clock {name}")
        backup = estate.backup("svc")
        check_equal(backup["outcome"], "OK", f"backup with a clock {name}")
        check(backup["age_seconds"] < 60, f"the backup is {backup['age_seconds']} s old")
        estate.ember("restore", backup["id"], "--to", f"n1:{n1.directory}/at{seconds}", "--yes")
    check(len(estate.events("node.clock", "n1")) >= 2, "no events tell of the wrong clocks")
    step("a clock a day ahead, a day behind: seen, and nothing breaks")

    certificate = f"{n1.state}/identity/cert.pem"

    def current():
        with open(certificate) as file:
            return file.read()

    before = current()
    n1.stop_agent()
    n1.start(environment=clock_off(65 * DAY))  # less than kRenewBeforeDays before its end
    wait_for(lambda: estate.events("node.renewed", "n1"), 60, "an event tells of the renewal")
    # The EM writes the event down before the agent has the answer.
    wait_for(lambda: current() != before, 30, "the agent puts its new certificate in place")
    n1.stop_agent()
    n1.start()
    wait_for(lambda: estate.node("n1")["state"] == "ALIVE", 30, "n1 is ALIVE with its new certificate")
    step("a certificate that ends soon renews itself")

    token = estate.token("n9")
    estate.em.kill()
    estate.start_em(environment=clock_off(DAY))
    check_join_refused(estate, token, "a token of yesterday")
    wait_for(lambda: estate.node("n1")["state"] == "ALIVE", 60, "n1 is ALIVE with the EM's clock a day ahead")
    step("an expired token is refused; the EM's clock a day ahead kills nobody")
    estate.em.kill()
    estate.start_em(environment=clock_off(-DAY))
    wait_for(lambda: estate.node("n1")["state"] == "ALIVE", 60, "n1 is ALIVE with the EM's clock a day behind")
    estate.wait_running("svc")
    backup = estate.backup("svc")
    check_equal((backup["outcome"], backup["verified"]), ("OK", True), "a backup with the EM's clock a day behind")
    estate.ember("restore", backup["id"], "--to", f"n1:{n1.directory}/behind", "--yes")
    check_equal(estate.ask("log", "verify")["intact"], True, "the event log, whatever its times")
    check_equal(n1.pid("tail -f"), pid, "the service's process, after all")
    step("the EM's clock a day behind: the same")


def test():
    with Estate(["n1", "n2", "n3"]) as estate:
        n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
        os.mkdir(f"{n1.srv}/data")
        for number in range(50):
            with open(f"{n1.srv}/data/{number}", "w") as file:
                file.write(f"{number}\n" * 100)
        open(f"{n1.srv}/log", "w").close()
        estate.apply({
            "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "svc", "node": "n1", "policies": ["daily"], "sources": files(f"{n1.srv}/data"),
                           "service": exec_service("/usr/bin/tail", "-f", f"{n1.srv}/log"),
                           "health": {"process": True, "every": "1s", "failures": 3}}]})
        estate.wait_running("svc")
        estate_files(estate)
        apply_asks(estate)
        unstable_sources(estate)
        peers(estate)
        ghosts(estate)
        tokens(estate)
        doubles(estate)
        revoked(estate)
        another_estate(estate)
        clocks(estate)


run(test, limit_seconds=200, root=False)
