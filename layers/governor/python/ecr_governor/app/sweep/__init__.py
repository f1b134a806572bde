"""The sweep: every repository judged, whatever events were lost. Each module is one step; a step that dies is begun again without harm.

`listing` finds what there is and what must be read, `checking` reads and judges one shard of that, `ending` decides over the whole
and reports. Between the steps everything is in the run store; only keys and counts are passed on.
"""
