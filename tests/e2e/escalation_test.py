"""What cannot be recovered is left to a human with all there is to know, and with the command that leads on.

`broken` exits 3 right after every start: its agent restarts it, the newest backup and the one before it are restored, and
then Ember gives up. `careful` has the recovery mode `manual`: it is given up at once. Both come back with the very command
that was shown, typed after the cause is mended.
"""
import http.server
import json
import os
import shlex
import sys
import threading

from estate import Estate, check, check_equal, exec_service, files, kill, run, step, wait_for

# Runs on, unless there is a file that says otherwise: then it complains and exits 3.
SERVER = """
import os, sys, time
if os.path.exists(sys.argv[1]):
    print("cannot open table 'users'", flush=True)
    sys.exit(3)
print("serving", flush=True)
while True:
    time.sleep(3600)
"""


class Inbox(http.server.ThreadingHTTPServer):
    """What is posted to it, as (path, headers, body). The first post of each path is refused: it must come again."""

    def __init__(self):
        posts, self.posts = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                posts[handler.path] = posts.get(handler.path, 0) + 1
                handler.send_response(503 if posts[handler.path] == 1 else 200)
                handler.end_headers()
                if posts[handler.path] > 1:
                    self.posts.append((handler.path, dict(handler.headers), body))

            def log_message(handler, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


def check_noticed(inbox, workload):
    """Both channels were told that a person is needed."""

    def hooked():
        bodies = [json.loads(body) for path, _, body in inbox.posts if path == "/hook"]
        return [b for b in bodies if (b["type"], b["workload"]) == ("recovery.escalated", workload)]

    def pushed():
        return [body for path, headers, body in inbox.posts
                if path == "/topic" and workload in headers.get("Title", "") and headers["Priority"] == "high"]

    wait_for(lambda: hooked() and pushed(), 30, f"notices about {workload}: {inbox.posts}")
    check(hooked()[0]["urgent"] and "Next: ember" in hooked()[0]["message"], f"the notice: {hooked()}")


def describe(estate, script, inbox):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]

    def workload(name, mode):
        return {"name": name, "node": "n1", "policies": ["daily"], "sources": files(f"{n1.srv}/{name}"),
                "service": {**exec_service(sys.executable, script, f"{n1.srv}/{name}.broken"), "restart": "1 in 5m"},
                # Of a process that lives for a moment only, a look at the process alone might find it well.
                "health": {"command": ["/usr/bin/test", "!", "-e", f"{n1.srv}/{name}.broken"], "every": "1s",
                           "failures": 3},
                "recovery": {"mode": mode}}

    return {"vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "settings": {"notify": [{"webhook": inbox.url("/hook")}, {"ntfy": inbox.url("/topic")}]},
            "workloads": [workload("broken", "automatic"), workload("careful", "manual")]}


def wait_escalated(estate, workload, seconds):
    def ended():
        found = [r for r in estate.recoveries(workload) if r["state"] in ("ESCALATED", "DONE", "CANCELLED")]
        return found or None

    found = wait_for(ended, seconds, f"the recovery of {workload} has ended")
    check_equal([r["state"] for r in found], ["ESCALATED"], f"recoveries of {workload}")
    return found[0]


def check_told(estate, workload, recovery, states):
    """Record, workload, status page and event say the same."""
    diagnostics = recovery["diagnostics"]
    check("exit status: 3" in diagnostics, f"no exit status in {diagnostics}")
    check("log: cannot open table 'users'" in diagnostics, f"no line of the log in {diagnostics}")
    check(any(line.startswith("probes: ") for line in diagnostics), f"no probe result in {diagnostics}")
    command = recovery["next_command"]
    check_equal(command, f"ember workload restart {workload}", "the next command")

    shown = estate.workload(workload)
    check(shown["state"] in states, f"{workload} is {shown['state']}, expected one of {states}")
    check_equal((shown["recovery"], shown["next_command"]), (recovery["id"], command), f"what {workload} refers to")
    check_equal(shown["diagnostics"], diagnostics, f"the diagnostics of {workload}")
    status = estate.ask("status")
    check(recovery["id"] in [r["id"] for r in status["recoveries"]], "the status page does not have the recovery")
    check(any(workload in alarm for alarm in status["alarms"]), f"no alarm about {workload}: {status['alarms']}")
    for verb in (["recovery", "list"], ["status"]):
        estate.ember(*verb).expect_text(f"{recovery['id']}: {command}")
    for verb in (["recovery", "show", recovery["id"]], ["workload", "show", workload]):
        estate.ember(*verb).expect_text("exit status: 3", "cannot open table 'users'", f"next: {command}")
    bundle_file = os.path.join(estate.work, "bundle.json")
    estate.ember("recovery", "show", recovery["id"], "--bundle", bundle_file).expect_text("no keys and no data")
    with open(bundle_file) as file:
        bundle = json.load(file)
    check_equal(bundle["recovery"]["diagnostics"], diagnostics, "the diagnostics in the bundle")
    check_equal(bundle["workload"]["name"], workload, "the workload in the bundle")
    check({"recovery.escalated"} <= {event["type"] for event in bundle["events"]["items"]}, "the bundle has no event of it")
    check(bundle["status"]["nodes"] and bundle["status"]["vaults"] and "items" in bundle["backups"], "the bundle lacks a part")
    events = estate.events("recovery.escalated", recovery["id"])
    check_equal(len(events), 1, f"events of the escalation of {workload}")
    check(f"Next: {command}" in events[0]["message"], f"no command in the event: {events[0]['message']}")
    return command


def mend_and_type(estate, workload, command):
    """Removes the cause, and types what was shown: nothing else."""
    os.remove(f"{estate.nodes['n1'].srv}/{workload}.broken")
    words = shlex.split(command)
    check_equal(words[0], "ember", "the first word of the next command")
    estate.ember(*words[1:])
    estate.wait_running(workload, seconds=30)
    shown = estate.workload(workload)
    check("healthy" in shown["health"], f"health of {workload}: {shown['health']}")
    check_equal((shown["recovery"], shown["next_command"]), ("", ""), f"what {workload} still asks for")
    check_equal(len(estate.recoveries(workload)), 1, f"recoveries of {workload}, in the end")
    step(f"{workload} is healthy again after: {command}")


def test():
    with Estate(["n1", "n2"]) as estate:
        n1 = estate.nodes["n1"]
        script = f"{n1.directory}/server.py"
        with open(script, "w") as file:
            file.write(SERVER)
        for name in ("broken", "careful"):
            os.mkdir(f"{n1.srv}/{name}")
            with open(f"{n1.srv}/{name}/table", "w") as file:
                file.write("users\n")
        inbox = Inbox()
        estate.apply(describe(estate, script, inbox))
        estate.wait_running("broken", "careful")
        backups = [estate.backup("broken")["id"] for _ in range(2)]
        step("two services run; one has two backups")

        for name in ("careful", "broken"):
            open(f"{n1.srv}/{name}.broken", "w").close()
            kill(n1.pid(f"{name}.broken"))
        careful = wait_escalated(estate, "careful", 60)
        check("manual" in careful["message"], f"the reason: {careful['message']}")
        check_equal([s["state"] for s in careful["steps"]], ["DETECTED", "ESCALATED"], "steps of careful")
        command = check_told(estate, "careful", careful, ("ESCALATED",))
        check_noticed(inbox, "careful")
        step(f"careful was left to a human at once, who was told: {careful['message']}")
        mend_and_type(estate, "careful", command)

        broken = wait_escalated(estate, "broken", 150)
        tried = [line for line in broken["diagnostics"] if line.startswith("tried: ")]
        for backup in backups:
            check(any(backup in line for line in tried), f"{backup} was not tried: {tried}")
        check("every way was tried" in broken["message"], f"the reason: {broken['message']}")
        command = check_told(estate, "broken", broken, ("ESCALATED", "QUARANTINED"))
        check_noticed(inbox, "broken")
        step(f"broken was left to a human after {len(tried)} tries, {broken['total_seconds']:.1f} s")
        mend_and_type(estate, "broken", command)
        with open(f"{n1.srv}/broken/table") as file:
            check_equal(file.read(), "users\n", "the data of broken")


run(test, limit_seconds=270, root=False)
