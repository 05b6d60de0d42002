# SPDX-License-Identifier: MIT
"""Prepares GPU passthrough in the installed system.

Nothing is decided here: the extension beside this file does the work. This file makes it
importable, hands it what Calamares knows, and puts its errors into the user's language.
"""

import gettext
import os
import sys

import libcalamares

HERE = libcalamares.job.working_path

# The folder of a module is not on the path of the interpreter that Calamares embeds.
if HERE not in sys.path:
    sys.path.insert(0, HERE)

_ = gettext.translation(
    "vfio-setup",
    localedir=os.path.join(HERE, "lang"),
    languages=libcalamares.utils.gettext_languages(),
    fallback=True,
).gettext


def pretty_name():
    return _("Set up GPU passthrough.")


def run():
    """Set up GPU passthrough."""
    try:
        import _vfio_setup
    except ImportError as error:
        return (
            _("The GPU passthrough module is not complete"),
            _("Its extension cannot be loaded. Build the module folder again for this system.")
            + "\n\n" + str(error),
        )

    trouble = _vfio_setup.run(
        libcalamares.job.configuration,
        libcalamares.globalstorage,
        libcalamares.job.setprogress,
    )
    # None is success for Calamares; whatever else is returned fails the installation.
    if trouble is None:
        return None
    title, advice, detail = trouble
    return (_(title), _(advice) + "\n\n" + detail)
