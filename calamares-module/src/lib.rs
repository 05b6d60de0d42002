//! The extension module `_vfio_setup`.
