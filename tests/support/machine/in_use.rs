//! What a running machine shows of the use that its host makes of it, laid the way the kernel lays it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::link;
use crate::{make_folder, write};

/// The keyboard that every machine has.
const KEYBOARD: &str = "input0";

/// A machine that is in no use but for a keyboard on a port of its own, and shows that.
pub(super) fn in_no_use(root: &Path) -> io::Result<()> {
    for folder in ["block", "input", "net"] {
        make_folder(&root.join("sys/class").join(folder))?;
    }
    keyboard(root, None, KEYBOARD)?;
    write(&root.join("proc/self/mountinfo"), "21 1 0:20 / /proc rw - proc proc rw\n")
}

/// A disk below a function, with its device number (`259:1`).
pub fn disk(root: &Path, function: &str, name: &str, number: &str) -> io::Result<()> {
    let device = device(root, function)?.join("block").join(name);
    make_folder(&device.join("holders"))?;
    write(&device.join("dev"), format!("{number}\n"))?;
    // What can be opened is held by nobody.
    write(&root.join("dev").join(name), "")?;
    link(&root.join("sys/class/block").join(name), &device)
}

/// A keyboard: below a function, or on a port of its own.
pub fn keyboard(root: &Path, function: Option<&str>, name: &str) -> io::Result<()> {
    let above = match function {
        Some(function) => device(root, function)?.join("usb1/1-3/1-3:1.0"),
        None => root.join("sys/devices/platform/i8042/serio0"),
    };
    let device = above.join("input").join(name);
    // As of a real one: `ev` and its 249 keys.
    write(
        &device.join("capabilities/key"),
        "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n",
    )?;
    link(&root.join("sys/class/input").join(name), &device)
}

/// Takes away the keyboard that every machine has.
pub fn without_keyboard(root: &Path) -> io::Result<()> {
    fs::remove_file(root.join("sys/class/input").join(KEYBOARD))
}

/// A network interface below a function.
pub fn interface(root: &Path, function: &str, name: &str) -> io::Result<()> {
    let device = device(root, function)?.join("net").join(name);
    make_folder(&device)?;
    link(&root.join("sys/class/net").join(name), &device)
}

/// The interfaces of the default routes.
pub fn default_route(root: &Path, interfaces: &[&str]) -> io::Result<()> {
    let head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
    let route =
        |interface: &&str| format!("{interface}\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
    let routes: String = interfaces.iter().map(route).collect();
    write(&root.join("proc/net/route"), format!("{head}{routes}"))
}

/// A function's own folder below `/sys/devices`.
fn device(root: &Path, function: &str) -> io::Result<PathBuf> {
    fs::canonicalize(root.join("sys/bus/pci/devices").join(function))
}
