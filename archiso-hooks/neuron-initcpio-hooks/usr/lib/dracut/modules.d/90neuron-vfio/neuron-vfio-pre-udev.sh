#!/bin/sh
# Sourced by dracut before udev starts: the work is done by a process of its own, so that nothing
# in it can end the boot.
/bin/sh /usr/lib/neuron/neuron-vfio-claim </dev/null || :
