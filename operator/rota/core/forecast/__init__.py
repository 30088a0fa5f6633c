"""What the coming hours and days will ask for, and whether there is room: `decide` over every edge and lead.

`outlook` walks from instant to instant, `settle` plays one to its end in a world without faults, `lacks`
says by how much room is short, `days` cuts a stretch of time into local days. Nothing here reads a clock.
"""
