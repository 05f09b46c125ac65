"""Reinforcement learning on rewards: DAPO as a short loop on Accelerate.

`loss` is the arithmetic, each function usable alone; `policy` samples answers and scores them;
`prompts` says what the model is shown; `groups` plays prompts and keeps the groups that teach;
`train` is the loop. `options` is the command line, and imports no torch.
"""
