"""The scripted player: sees the whole map and runs the chain ore, battery, heart; the 1 of the suite's score."""
