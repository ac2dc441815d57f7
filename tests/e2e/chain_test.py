"""Three nodes, three real services that depend on each other, and all of their data lost at once.

db (redis) on n1, app (a server of ours) on n2, web (nginx, in front of app) on n3. db and web lose their directories
altogether; of app a wreck remains, on which its server refuses to start. All three come back in the order of their
dependencies, with every bit and every attribute as before.
"""
import os
import subprocess
import sys

from estate import (HERE, Estate, check, check_equal, check_same_tree, count_files, exec_service, files, kill,
                    nasty_tree, run, step, wait_for)

CROWD = 10000  # files in one directory, beside /usr/include and /usr/share/doc
REDIS_PORT, APP_PORT, WEB_PORT = 6379, 8080, 80
PROBE = {"every": "1s", "failures": 3}


def redis(node, *words):
    """One command; the answer's text."""
    with node.space.connect((node.space.address, REDIS_PORT)) as connection:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        reply = connection.makefile("rb")
        head = reply.readline().rstrip(b"\r\n")
        check(head[:1] != b"-", f"redis {words[0]}: {head!r}")
        if head[:1] != b"$":
            return head[1:]
        return None if head == b"$-1" else reply.read(int(head[1:]))


def nginx_config(estate, app):
    return f"""
daemon off;
master_process off;
pid {estate.srv}/nginx.pid;
error_log {estate.srv}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {estate.srv}/tmp/body; proxy_temp_path {estate.srv}/tmp/proxy;
  fastcgi_temp_path {estate.srv}/tmp/fastcgi; uwsgi_temp_path {estate.srv}/tmp/uwsgi;
  scgi_temp_path {estate.srv}/tmp/scgi;
  server {{
    listen {WEB_PORT};
    root {estate.srv}/web/html;
    location /app/ {{ proxy_pass http://{app.space.address}:{APP_PORT}/; }}
  }}
}}
"""


def make_data(estate):
    n1, n2, n3 = estate.nodes.values()
    os.makedirs(f"{n1.srv}/db/redis")
    subprocess.run(["cp", "-a", "/usr/include", f"{n1.srv}/db/include"], check=True)
    os.makedirs(f"{n2.srv}/app")
    subprocess.run(["cp", "-a", "/usr/share/doc", f"{n2.srv}/app/doc"], check=True)
    with open(f"{n2.srv}/app/app.conf", "w") as file:
        file.write("greeting = hello\n")
    os.makedirs(f"{n3.srv}/web/html")
    os.makedirs(f"{n3.srv}/tmp")
    with open(f"{n3.srv}/web/html/index.html", "w") as file:
        file.write("<h1>hello</h1>\n")
    with open(f"{n3.srv}/nginx.conf", "w") as file:
        file.write(nginx_config(estate, n2))
    nasty_tree(f"{n3.srv}/web/nasty", CROWD)
    counts = {node.name: count_files(node.srv) for node in (n1, n2, n3)}
    step(f"data made: {counts} files")


def describe(estate):
    n1, n2, n3 = estate.nodes.values()
    app_server = [sys.executable, os.path.join(HERE, "app_server.py"), f"{n2.space.address}:{APP_PORT}",
                  f"{estate.srv}/app", f"{n1.space.address}:{REDIS_PORT}"]
    return {
        "vaults": [{"name": "nas", "node": "n3", "path": f"{n3.directory}/vault"}],
        "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
        "workloads": [
            {"name": "db", "node": "n1", "policies": ["daily"], "criticality": "critical",
             "sources": files(f"{estate.srv}/db"),
             "service": exec_service("/usr/bin/redis-server", "--bind", n1.space.address, "--port", str(REDIS_PORT),
                                     "--dir", f"{estate.srv}/db/redis", "--save", "", "--protected-mode", "no"),
             "health": {"tcp": f"{n1.space.address}:{REDIS_PORT}", **PROBE}},
            {"name": "app", "node": "n2", "policies": ["daily"], "depends_on": ["db"],
             "sources": files(f"{estate.srv}/app"), "service": exec_service(*app_server),
             "health": {"http": f"http://{n2.space.address}:{APP_PORT}/health", **PROBE}},
            {"name": "web", "node": "n3", "policies": ["daily"], "depends_on": ["app"],
             "sources": files(f"{estate.srv}/web/html", f"{estate.srv}/web/nasty"),
             "service": exec_service("/usr/sbin/nginx", "-c", f"{estate.srv}/nginx.conf"),
             "health": {"http": f"http://{n3.space.address}:{WEB_PORT}/app/health", **PROBE}},
        ],
    }


def lose_everything(estate):
    """What was there stays for the comparison, out of sight of the services."""
    n1, n2, n3 = estate.nodes.values()
    pids = [n1.pid("redis-server"), n2.pid("app_server.py"), n3.pid("nginx")]
    os.rename(f"{n1.srv}/db", f"{n1.directory}/lost-db")
    os.rename(f"{n2.srv}/app", f"{n2.directory}/lost-app")
    os.mkdir(f"{n2.srv}/app")
    with open(f"{n2.srv}/app/app.conf", "w") as file:
        file.write("garbage")
    os.rename(f"{n3.srv}/web", f"{n3.directory}/lost-web")
    for pid in pids:
        kill(pid)


def step_time(recovery, state):
    return next(s["time"] for s in recovery["steps"] if s["state"] == state)


def check_order(recoveries):
    for first, then in (("db", "app"), ("app", "web")):
        check(recoveries[first]["ended"] <= step_time(recoveries[then], "STARTING"),
              f"{then} was started at {step_time(recoveries[then], 'STARTING')}, before {first} was verified at "
              f"{recoveries[first]['ended']}")


def check_safety_copy(estate, recovery):
    copies = recovery["safety_copies"]
    check_equal(len(copies), 1, "safety copies of app")
    seen_by_node = copies[0].replace(estate.srv, estate.nodes["n2"].srv)
    with open(os.path.join(seen_by_node, "app.conf")) as file:
        check_equal(file.read(), "garbage", "what the safety copy of app holds")


def test():
    with Estate(isolated=True) as estate:
        n1, n2, n3 = estate.nodes.values()
        make_data(estate)
        estate.apply(describe(estate))
        estate.wait_running("db", "app", "web")
        for key in range(500):
            redis(n1, "SET", f"key{key}", os.urandom(8).hex() * (key + 1))
        values = {key: redis(n1, "GET", f"key{key}") for key in range(500)}
        redis(n1, "SET", "count", "41")
        redis(n1, "SAVE")
        step("the chain runs")

        for name in ("db", "app", "web"):
            backup = estate.backup(name)
            check_equal((backup["outcome"], backup["verified"]), ("OK", True), f"backup of {name}")
            step(f"{backup['id']}: {backup['files']} files, {backup['size_bytes']} bytes, "
                 f"{backup['added_bytes']} stored")

        lose_everything(estate)
        step("services killed, data gone")
        recoveries = {name: estate.wait_recovered(name, seconds=240) for name in ("db", "app", "web")}
        for name, recovery in recoveries.items():
            step(f"{name} is back: detection {recovery['detect_seconds']:.1f} s, restore "
                 f"{recovery['restore_seconds']:.1f} s, total {recovery['total_seconds']:.1f} s")
        check_order(recoveries)
        check_safety_copy(estate, recoveries["app"])

        check_same_tree(f"{n1.directory}/lost-db", f"{n1.srv}/db")
        check_same_tree(f"{n2.directory}/lost-app", f"{n2.srv}/app")
        check_same_tree(f"{n3.directory}/lost-web/html", f"{n3.srv}/web/html")
        check_same_tree(f"{n3.directory}/lost-web/nasty", f"{n3.srv}/web/nasty")
        step("all trees are the same, attributes included")

        for key, value in values.items():
            check_equal(redis(n1, "GET", f"key{key}"), value, f"redis key{key}")
        web = (n3.space.address, WEB_PORT)
        check_equal(n1.http(web, "/index.html"), (200, b"<h1>hello</h1>\n"), "page of web")
        check_equal(n1.http(web, "/app/count"), (200, b"42"), "counter through web, app and db")
        estate.wait_running("db", "app", "web")
        estate.ember("log", "verify")
        step("values, pages and counter are right")


run(test, limit_seconds=400)
