"""Backups on a schedule: nobody asks, and they come, at their times. What is missed while the EM is down for a moment is made
up once when it is back, and the schedule goes on. When it is away for longer the agent makes them by itself, and tells."""
import datetime
import os
import time

from estate import SHORT_TIMES, Estate, check, check_equal, files, run, step, wait_for

EVERY, SELDOM = 5, 20


def test():
    with Estate(["n1"]) as estate:
        n1 = estate.nodes["n1"]
        os.makedirs(f"{n1.srv}/data")
        with open(f"{n1.srv}/data/file", "w") as file:
            file.write("the same each time")
        applied = time.time()
        estate.apply({
            "vaults": [{"name": "main", "node": "n1", "path": f"{n1.directory}/vault"}],
            "policies": [{"name": "often", "schedule": f"*:*:0/{EVERY}", "vaults": ["main"]}],
            "workloads": [{"name": "photos", "node": "n1", "policies": ["often"],
                           "sources": files(f"{n1.srv}/data"), "service": {"none": {}}}]})

        def times():
            return sorted(datetime.datetime.fromisoformat(each["created"].replace("Z", "+00:00")).timestamp()
                          for each in estate.backups("photos"))

        wait_for(lambda: len(times()) >= 3, 40, "three backups that nobody asked for")
        made = times()
        check(made[0] > applied, "a backup for a time before there was a schedule")
        for earlier, later in zip(made, made[1:]):
            check(later - earlier > EVERY - 3, f"two backups for one due time: {made}")
        backup = estate.backups("photos")[0]
        check_equal(backup["outcome"], "OK", f"the outcome of {backup}")
        step(f"three backups in {made[-1] - made[0]:.0f} s, one for each due time")

        estate.kill_em()
        down = time.time()
        wait_for(lambda: time.time() > down + 3 * EVERY, 60, "three due times have passed")
        estate.start_em()
        up = time.time()
        missed = wait_for(lambda: [each for each in times() if each > up - 1], 30, "what was missed is made up")
        check(missed[0] - up < EVERY + 8, f"made up {missed[0] - up:.0f} s after the EM was back")
        wait_for(lambda: len([each for each in times() if each > up - 1]) >= 3, 40, "the schedule goes on")
        after = [each for each in times() if each > up - 1]
        check(len([each for each in times() if down < each < up - 1]) <= 1, "backups while the EM was down")
        check(after[2] - after[0] > EVERY - 3, f"three due times were missed and all of them made up: {after}")
        step("three missed while the EM was down: made up once, and the schedule goes on")
        without_em(estate)


def without_em(estate):
    n1 = estate.nodes["n1"]
    estate.apply({
        "vaults": [{"name": "main", "node": "n1", "path": f"{n1.directory}/vault"}],
        "policies": [{"name": "seldom", "schedule": f"*:*:0/{SELDOM}", "vaults": ["main"]}],
        "workloads": [{"name": "photos", "node": "n1", "policies": ["seldom"],
                       "sources": files(f"{n1.srv}/data"), "service": {"none": {}}}],
        "settings": SHORT_TIMES})
    wait_for(lambda: [each for each in estate.backups("photos") if each["reason"] == "schedule seldom"], 60,
             "the new schedule is in force")
    estate.kill_em()
    down = time.time()
    snaps = f"{n1.directory}/vault/snaps"

    def made():
        return sum(os.path.getmtime(os.path.join(parent, name)) > down + 5
                   for parent, _, names in os.walk(snaps) for name in names)

    wait_for(lambda: made() >= 2, 120, "two backups without the EM")
    step(f"two backups {time.time() - down:.0f} s after the EM went away, without it")
    # Also the agent may be a new one by then. What it was about to tell of when it was killed counts as PARTIAL.
    n1.kill_agent()
    n1.start()
    estate.start_em()

    def told():
        return [each for each in estate.backups("photos") if "while the controller was away" in each["reason"]]

    def good():
        return [each for each in told() if each["outcome"] == "OK"]

    wait_for(lambda: len(told()) >= 2 and good(), 60, "the EM hears of them")
    wait_for(lambda: len(estate.events("backup.offline")) == len(told()), 10, "an event for each")
    estate.ember("backup", "verify", good()[0]["id"])
    step(f"{len(told())} backups are told of, {len(good())} of them good")


run(test, limit_seconds=330, root=False)
