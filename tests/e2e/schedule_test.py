"""Backups on a schedule: nobody asks, and they come, at their times. While the EM is down none is made; when it is back,
what was missed is made up once, and the schedule goes on."""
import datetime
import os
import time

from estate import Estate, check, check_equal, files, run, step, wait_for

EVERY = 5


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


run(test, limit_seconds=170, root=False)
