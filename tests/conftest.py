"""What every test process needs."""

import signal

from hypothesis import settings

# A shell's background jobs ignore Ctrl-C and hand that on to what they start; commands under test must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of the code under test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
