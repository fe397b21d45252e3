"""The server: the API people already have clients for, and work that survives a crash.

A surface like the command line: it translates a wire to a `Request`, gives it to the `Desk`, and translates what came
of it back. `desk` makes durable jobs of requests, `hub` tells who watches, `people` says who asks, `app` is the whole.
"""
