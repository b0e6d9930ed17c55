"""Launches a run with nothing but Python and consilium.py, follows it, takes its model and has its record verified.

    python3 launch.py task.json out     with CONSILIUM_COORDINATOR and CONSILIUM_API_KEY set; CONSILIUM_COORDINATOR_KEY pins who signs
"""
import json
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../sdk/python"))
import consilium

task, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
client = consilium.Consilium(
    os.environ.get("CONSILIUM_COORDINATOR", "http://127.0.0.1:7410"),
    os.environ["CONSILIUM_API_KEY"],
    coordinator_key=os.environ.get("CONSILIUM_COORDINATOR_KEY"),
)
with open(task, encoding="utf-8") as file:
    run = client.create(json.load(file))["id"]
print("run     ", run)
events = []
for event in client.follow(run):
    events.append(event)
    if client.is_waiting(run, event):
        print("paused  ", run, "waits for its owner: consilium runs resume, or runs stop")
        sys.exit(13)
print("ended   ", events[-1]["type"], "after", sum(e["type"] == "round.completed" for e in events), "rounds")
if events[-1]["type"] != "run.completed":
    sys.exit(7)
# Its weights are what its CID says, and its CID what a signed record says; verify redoes how it was made.
model = client.save_model(run, os.path.join(out, "model.npz"))
client.save_bundle(run, os.path.join(out, "run.car"))
verdict = json.loads(subprocess.check_output(["consilium", "verify", os.path.join(out, "run.car"), "--json"]))
assert verdict["ok"] and verdict["model"] == model
with open(os.path.join(out, "events.ndjson"), "w", encoding="utf-8") as file:
    file.writelines(json.dumps(event) + "\n" for event in events)
print("model   ", model)
print("verified", os.path.getsize(os.path.join(out, "run.car")), "bytes")
