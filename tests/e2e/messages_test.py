"""Messages between workloads: in order, each once, whatever is killed.

A sender on n1 hands numbered messages to its agent; the controller and the agent are killed again and again meanwhile, and a
receiver, killed as well, takes them. Each number arrives, in order; what was confirmed does not come again. While the
controller is away for longer, sending goes on, until the agent says that its log is full.
"""
import random
import threading

from estate import DONE, NOT_FOUND, UNREACHABLE, USAGE, Estate, check, check_equal, run, step, wait_for

COUNT = 60


def describe():
    return {"workloads": [{"name": "a", "node": "n1"}, {"name": "b", "node": "n1"}]}


class Sender(threading.Thread):
    """Sends 0 to COUNT - 1 to `b`; what is not taken is sent again under its id."""

    def __init__(self, estate, agent):
        super().__init__()
        self.estate, self.agent, self.sent, self.again = estate, agent, 0, 0

    def run(self):
        while self.sent < COUNT:
            answer = self.estate.ember("message", "send", "b", f"number {self.sent}", "--from", "a", "--id", f"n{self.sent}",
                                       "--agent", self.agent, "--timeout", "3", check_code=None)
            if answer.code == DONE:
                self.sent += 1
            else:
                self.again += 1
                wait_for(lambda: self.estate.nodes["n1"].agent.running(), 30, "the agent runs")


def receive_some(estate, received):
    answer = estate.ember("message", "receive", "b", check_code=None)
    if answer.code == DONE:
        received.append(answer.out.strip())
    return answer.code == DONE


def in_order(received):
    """Without what came twice because the receiver, or its word, was lost in between."""
    kept = []
    for each in received:
        if not kept or kept[-1] != each:
            kept.append(each)
    return kept


def storm(estate, agent):
    n1 = estate.nodes["n1"]
    sender = Sender(estate, agent)
    sender.start()
    received, dice, kills = [], random.Random(7), 0
    while sender.is_alive() or kills < 6:
        for _ in range(dice.randrange(2, 6)):
            receive_some(estate, received)
        if kills < 6 and sender.sent > kills * 5:
            kills += 1
            if kills % 2:
                estate.kill_em()
                estate.start_em()
            else:
                n1.kill_agent()
                n1.start()
    sender.join()

    def all_there():
        receive_some(estate, received)
        return len(set(received)) == COUNT

    wait_for(all_there, 60, "all messages arrive")
    check_equal(in_order(received), [f"number {n}" for n in range(COUNT)], "what was received")
    step(f"{COUNT} messages, {kills} kills of controller and agent, {sender.again} sent again: each once, in order")


def while_the_em_is_away(estate, agent):
    estate.kill_em()
    estate.ember("message", "send", "b", "direct", "--timeout", "1", check_code=UNREACHABLE)
    answer = estate.ember("message", "send", "b", "patient", "--agent", agent, "--json").json
    check_equal(answer["spooled_on"], "n1", "who keeps it")
    waiting = estate.begin("message", "receive", "b", "--wait")
    estate.start_em()
    out, _ = waiting.communicate(timeout=60)
    check_equal((waiting.returncode, out.decode().strip()), (DONE, "patient"), "a receiver that waited for the controller")
    estate.ember("message", "receive", "b", check_code=NOT_FOUND)
    estate.ember("message", "send", "nobody", "x", check_code=NOT_FOUND)
    estate.ember("message", "send", "b", check_code=USAGE)
    # A mistake in a spooled message is found later, and said.
    estate.ember("message", "send", "nobody", "x", "--agent", agent)
    wait_for(lambda: estate.events("message.refused"), 20, "an event about the message to nobody")
    estate.ember("message", "send", "b", "last")
    items = estate.ask("message", "list", "b")["items"]
    check_equal([item["body"] for item in items], ["last"], "what waits")
    step("the agent keeps what is sent while the controller is away")


def test():
    with Estate(["n1"]) as estate:
        estate.apply(describe())
        agent = f"n1@{estate.nodes['n1'].listen}"
        storm(estate, agent)
        while_the_em_is_away(estate, agent)


run(test, limit_seconds=200, root=False)
