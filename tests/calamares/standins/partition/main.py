# SPDX-License-Identifier: MIT
"""Stands in for the stock module partition: says that a folder is the target.

The values come from a file and not from the configuration, where Calamares' YAML would turn
"off" into False and "1002" into 1002.
"""

import json

import libcalamares


def pretty_name():
    return "Stand-in for partition"


def run():
    with open(libcalamares.job.configuration["globals"], encoding="utf-8") as file:
        for key, value in json.load(file).items():
            libcalamares.globalstorage.insert(key, value)
    return None
