"""Backups that go by the rules of `keep`: shown before, by a person's word, by themselves within the deletion budget, and back
out of the trash. What is left verifies.
"""
import time

from estate import REFUSED, Estate, check, check_equal, files, run, step, wait_for


def describe(estate, vault, **keep):
    return {"vaults": [{"name": "nas", "node": "n1", "path": vault}],
            "policies": [{"name": "hourly", "schedule": "*:00", "vaults": ["nas"], **({"keep": keep} if keep else {})}],
            "workloads": [{"name": "svc", "node": "n1", "policies": ["hourly"], "sources": files(f"{estate.nodes['n1'].srv}/data")}]}


class Retention:
    def __init__(self, estate):
        self.estate = estate

    def make(self, count):
        """Each in a second of its own, as their ids are; newest last."""
        ids = []
        for _ in range(count):
            second = int(time.time())
            ids.append(self.estate.backup("svc")["id"])
            wait_for(lambda: int(time.time()) > second, 5, "another second")
        return ids

    def plan(self):
        items = self.estate.ask("clean", "--dry-run")["items"]
        return {item["id"]: item for item in items}

    def there(self):
        return [backup["id"] for backup in self.estate.backups("svc") if not backup["trashed"]]

    def by_hand(self, ids):
        estate = self.estate
        plan = self.plan()
        check_equal([name for name in ids if not plan[name]["keep"]], ids[:3], "what would go")
        check_equal(plan[ids[-1]]["reason"], "one of the last 4", "why the newest stays")
        text = estate.ember("clean", "svc", "--dry-run")
        text.expect_text("3 of 7 go", f"the newest that stays is {ids[-1]}", "no rule keeps it")
        estate.ember("backup", "pin", ids[0])
        refused = estate.ember("clean", check_code=REFUSED)
        refused.expect_text("2 backups")
        check_equal(self.there(), ids, "what is there, after a dry run and a refusal")
        estate.ember("clean", "--yes").expect_text("removed 2 backups")
        check_equal(self.there(), [ids[0], *ids[3:]], "what is left")
        estate.ember("clean").expect_text("nothing goes", "it is pinned")
        estate.ember("backup", "undelete", ids[2])
        check_equal(self.there(), [ids[0], *ids[2:]], "what is there, with one that was had back")
        step("by a person's word, what was shown went")

    def by_rule(self, ids):
        """The budget of one per day is used up by the deletion of a moment ago, until it is made larger."""
        estate = self.estate
        check_equal(self.there(), ids, "the budget holds")
        document = describe(estate, f"{estate.nodes['n1'].directory}/vault", last=2)
        document["vaults"][0]["deletion_budget"] = "100%"
        estate.apply(document).expect_text("of 'svc' 2 backups would go")
        wait_for(lambda: self.there() == [ids[0], *ids[-2:]], 30, "what no rule keeps goes by itself")
        newest = self.make(1)
        wait_for(lambda: self.there() == [ids[0], ids[-1], *newest], 30, "one comes, one goes")
        deleted = [e["message"] for e in estate.events("delete.ok") if "its policies" in e["message"]]
        check(deleted and "no rule keeps it" in deleted[-1], f"the events tell why: {deleted}")
        step("by themselves")
        return self.there()


def test():
    with Estate(["n1"]) as estate:
        n1 = estate.nodes["n1"]
        with open(f"{n1.srv}/data", "w") as file:
            file.write("precious\n")
        vault = f"{n1.directory}/vault"
        estate.apply(describe(estate, vault))
        retention = Retention(estate)
        ids = retention.make(7)
        check_equal([item for item in retention.plan().values() if not item["keep"]], [], "nothing goes, they are young")
        estate.apply(describe(estate, vault, last=4))
        # One goes by itself: the budget allows that.
        wait_for(lambda: retention.there() == ids[1:], 30, "the oldest goes by itself")
        estate.ember("backup", "undelete", ids[0])
        retention.by_hand(ids)
        left = retention.by_rule([ids[0], *ids[2:]])
        for backup in left:
            estate.ember("backup", "verify", backup)
        estate.ember("vault", "gc", "nas", "--empty-trash", "--yes")
        estate.ember("vault", "check", "nas", "--read-data")
        for backup in left:
            estate.ember("backup", "verify", backup)
        coming = estate.ask("schedule", "next", "--count", "2")["items"]
        check_equal([run["policy"] for run in coming], ["hourly"] * 2, "what comes next")
        estate.ember("log", "verify")
        step("what is left verifies")


run(test, limit_seconds=180, root=False)
