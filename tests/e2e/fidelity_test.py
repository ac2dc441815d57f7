"""Nothing of a tree is lost: content, holes, types, names, times, owners, attributes.

The tree has all that a file system can hold and backup programs forget, and a part of /usr/include. It is restored to
another node and in place, compared to the last bit, and backed up again unchanged.
"""
import os
import subprocess

from estate import (DONE, REFUSED, Estate, check, check_equal, check_same_tree, count_files, files, nasty_tree,
                    remove_tree, run, step)


def check_added_little(backup):
    """A backup of what is stored already brings its list of ids (32 bytes each, about one per file here) and a root."""
    limit = (64 << 10) + 64 * backup["files"]
    check(backup["added_bytes"] <= limit, f"{backup['id']} stored {backup['added_bytes']} bytes, expected {limit} at most")


def test():
    with Estate(["n1", "n2"]) as estate:
        n1, n2 = estate.nodes.values()
        tree = f"{n1.srv}/tree"
        nasty_tree(tree, 3000)
        subprocess.run(["cp", "-a", "/usr/include/linux", f"{tree}/include"], check=True)
        step(f"tree made: {count_files(tree)} files")
        estate.apply({
            "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "tree", "node": "n1", "policies": ["daily"], "sources": files(tree),
                           "service": "none", "recovery": {"mode": "manual"}}]})

        first = estate.backup("tree")
        check_equal((first["outcome"], first["verified"]), ("OK", True), "first backup")
        step(f"{first['id']}: {first['files']} files, {first['size_bytes']} bytes, {first['added_bytes']} stored")
        second = estate.backup("tree")
        step(f"{second['id']}: unchanged, {second['added_bytes']} bytes stored")
        check_added_little(second)
        check_equal(second["files"], first["files"], "files of the unchanged backup")
        third = estate.ember("backup", "run", "tree", "--kind", "full", "--json").json
        step(f"{third['id']}: read again in full, {third['added_bytes']} bytes stored")
        check_added_little(third)

        for backup in (first, second, third):
            target = f"{n2.srv}/restored-{backup['id'].rsplit('-', 1)[1]}"
            estate.ember("restore", backup["id"], "--to", f"n2:{target}", "--yes")
            step(f"{backup['id']} restored to the other node")
            check_same_tree(tree, target)
            remove_tree(target)
        step("the same, three times")

        taken = f"{n2.srv}/taken"
        os.mkdir(taken)
        with open(f"{taken}/mine", "w") as file:
            file.write("do not lose me\n")
        estate.ember("restore", first["id"], "--to", f"n2:{taken}", check_code=REFUSED)
        check_equal(os.listdir(taken), ["mine"], "a directory that was not empty, after a refused restore")

        part = f"{n2.srv}/part"
        estate.ember("restore", first["id"], "--to", f"n2:{part}", "--path", f"{tree}/include", "--yes")
        check_same_tree(f"{tree}/include", f"{part}/include")
        check_equal(sorted(os.listdir(part)), ["include"], "what a restore of one path brings")
        step("one path restored: the same")

        kept = f"{n1.directory}/kept"
        os.rename(tree, kept)
        os.mkdir(tree)
        with open(f"{tree}/mine", "w") as file:
            file.write("do not lose me\n")
        estate.ember("restore", second["id"], check_code=REFUSED)
        check_equal(os.listdir(tree), ["mine"], "the directory after a refused restore")
        answer = estate.ember("restore", second["id"], "--yes", "--json", check_code=DONE).json
        check_same_tree(kept, tree)
        copies = answer["restore"]["safety_copies"]
        check_equal(len(copies), 1, "safety copies")
        with open(f"{copies[0]}/mine") as file:
            check_equal(file.read(), "do not lose me\n", "what the safety copy holds")
        step("restored in place: the same; what was there is kept")

        for backup in (first, second, third):
            estate.ember("backup", "verify", backup["id"])
        fourth = estate.backup("tree")
        check_added_little(fourth)
        step(f"{fourth['id']}: of the restored tree, {fourth['added_bytes']} bytes stored")


run(test, limit_seconds=150)
