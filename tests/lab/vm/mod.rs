//! A virtual machine inside the lab's machine: what our command defines, started by the real libvirt with the
//! functions that the early hook claimed.
//!
//! The emulated processor is AMD's, whose virtualization QEMU emulates too, so that the inner machine has a KVM.
//! What is not as on a desk: a kernel and one process stand for Windows, and are started without firmware (the
//! template in `inner` says why), so without Secure Boot and without a TPM; there is no disk, since memory knows no
//! `O_DIRECT` in this kernel. libvirt and QEMU are those of the system that runs the tests.

mod cases;
pub(crate) mod host;
pub(crate) mod inner;
pub(crate) mod life;
