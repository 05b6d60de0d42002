# SPDX-License-Identifier: MIT
"""Stands in for the stock module mount: the target is a folder, which the one for partition named."""


def pretty_name():
    return "Stand-in for mount"


def run():
    return None
