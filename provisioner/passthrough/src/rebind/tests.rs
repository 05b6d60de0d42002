//! The order of writes, over a made tree: a pretended kernel that moves links as the real one does.
//! That the real one does so is shown in the lab (`tests/lab`), where functions really move.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

const GPU: &str = "0000:01:00.0";
const AUDIO: &str = "0000:01:00.1";
const HOST: &str = "0000:00:02.0";

/// What the pretended kernel does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Writes are taken and have no effect.
    Deaf(&'static str),
    /// Writes to it fail.
    Refuses(&'static str),
    /// No driver of the host is loaded.
    NoDriver,
}

/// A made `/sys` that answers writes; it writes down each of them.
struct Pretended {
    root: PathBuf,
    fault: Fault,
    writes: Vec<String>,
}

impl Pretended {
    fn device(&self, address: &str) -> PathBuf {
        self.root.join(format!("sys/bus/pci/devices/{address}"))
    }

    fn bind(&self, address: &str, driver: &str) {
        symlink(format!("../../../../bus/pci/drivers/{driver}"), self.device(address).join("driver"))
            .unwrap();
    }

    fn probe(&self, address: &str) {
        let promised = fs::read_to_string(self.device(address).join("driver_override")).unwrap();
        let is_free = !self.device(address).join("driver").is_symlink();
        match promised.trim() {
            "vfio-pci" if is_free => self.bind(address, "vfio-pci"),
            "(null)" if is_free && self.fault != Fault::NoDriver => self.bind(address, "nouveau"),
            _ => {}
        }
    }
}

impl Hand for Pretended {
    fn write(&mut self, path: &str, value: &str) -> io::Result<()> {
        let name = path.rsplit('/').next().unwrap_or_default();
        self.writes.push(format!("{value}>{}", path.trim_start_matches("/sys/bus/pci/")));
        match self.fault {
            Fault::Refuses(what) if what == name => return Err(io::Error::other("No such device")),
            Fault::Deaf(what) if what == name => return Ok(()),
            _ => {}
        }
        match name {
            "driver_override" => {
                let value = if value.is_empty() { "(null)" } else { value };
                fs::write(self.root.join(path.trim_start_matches('/')), format!("{value}\n"))?;
            }
            "unbind" => fs::remove_file(self.device(value).join("driver"))?,
            "drivers_probe" => self.probe(value),
            // As the real one says of ids that it was not given.
            "remove_id" => return Err(io::Error::other("No such device")),
            _ => {}
        }
        Ok(())
    }
}

struct Made {
    tree: tempfile::TempDir,
    hand: Pretended,
}

/// The GPU and its audio with the host's drivers, or with vfio-pci.
fn made(driver: &str, fault: Fault) -> Made {
    let tree = tempfile::tempdir().unwrap();
    let hand = Pretended { root: tree.path().to_owned(), fault, writes: Vec::new() };
    fs::create_dir_all(tree.path().join("sys/bus/pci/drivers/vfio-pci")).unwrap();
    for (address, driver) in [(GPU, driver), (AUDIO, driver), (HOST, "i915")] {
        let device = hand.device(address);
        fs::create_dir_all(&device).unwrap();
        let promised = if driver == VFIO { "vfio-pci\n" } else { "(null)\n" };
        for (name, value) in
            [("driver_override", promised), ("vendor", "0x10de\n"), ("device", "0x2204\n"), ("uevent", "")]
        {
            fs::write(device.join(name), value).unwrap();
        }
        hand.bind(address, driver);
    }
    Made { tree, hand }
}

impl Made {
    fn root(&self) -> Root {
        Root::directory(self.tree.path()).unwrap()
    }

    fn driver(&self, address: &str) -> Option<String> {
        let link = fs::read_link(self.hand.device(address).join("driver")).ok()?;
        Some(link.file_name().unwrap().to_string_lossy().into_owned())
    }
}

fn gpu() -> PciAddress {
    GPU.parse().unwrap()
}

#[test]
fn the_promise_comes_first_and_twice_is_once() {
    let mut made = made("nouveau", Fault::Nothing);
    let root = made.root();
    let bound = to_vfio(&root, &mut made.hand, gpu()).unwrap();
    assert_eq!((bound.driver.as_deref(), bound.changed), (Some(VFIO), true));
    let expected = [
        "vfio-pci>devices/0000:01:00.0/driver_override",
        "0000:01:00.0>drivers/nouveau/unbind",
        "0000:01:00.0>drivers_probe",
    ];
    assert_eq!(made.hand.writes, expected);
    let again = to_vfio(&root, &mut made.hand, gpu()).unwrap();
    assert!(!again.changed);
    assert_eq!(made.hand.writes.len(), expected.len(), "nothing more is written");
    assert_eq!(made.driver(AUDIO).as_deref(), Some("nouveau"), "nobody else moved");
}

#[test]
fn back_the_promise_goes_before_the_driver() {
    let mut made = made(VFIO, Fault::Nothing);
    let root = made.root();
    let bound = to_host(&root, &mut made.hand, gpu()).unwrap();
    assert_eq!((bound.driver.as_deref(), bound.changed), (Some("nouveau"), true));
    let expected = [
        ">devices/0000:01:00.0/driver_override",
        "10de 2204>drivers/vfio-pci/remove_id",
        "0000:01:00.0>drivers/vfio-pci/unbind",
        "0000:01:00.0>drivers_probe",
    ];
    assert_eq!(made.hand.writes, expected);
    assert!(!to_host(&root, &mut made.hand, gpu()).unwrap().changed);
    assert_eq!(made.hand.writes.len(), expected.len(), "nothing more is written");
    assert!(!made.hand.writes.iter().any(|write| write.contains("new_id")));
}

#[test]
fn everything_that_vfio_has_goes_back_and_nothing_else_moves() {
    let mut made = made(VFIO, Fault::Nothing);
    let root = made.root();
    let done = give_back(&root, &mut made.hand).unwrap();
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    let returned: Vec<String> = done.returned.iter().map(|bound| bound.address.to_string()).collect();
    assert_eq!(returned, [GPU, AUDIO]);
    assert_eq!(made.driver(GPU).as_deref(), Some("nouveau"));
    assert_eq!(made.driver(HOST).as_deref(), Some("i915"));
    assert!(made.hand.writes[0].ends_with("options vfio-pci ids=>/run/modprobe.d/zz-neuron-vfio.conf"));
    assert!(!made.hand.writes.iter().any(|write| write.contains(HOST)));
    assert!(give_back(&root, &mut made.hand).unwrap().returned.is_empty());
}

/// A promise alone would be kept at the next probe.
#[test]
fn a_promise_that_was_not_kept_yet_goes_as_well() {
    let mut made = made("nouveau", Fault::Nothing);
    let root = made.root();
    fs::write(made.hand.device(GPU).join("driver_override"), "vfio-pci\n").unwrap();
    let done = give_back(&root, &mut made.hand).unwrap();
    assert_eq!(done.returned.len(), 1);
    assert_eq!(made.driver(GPU).as_deref(), Some("nouveau"), "its driver keeps it");
    assert_eq!(fs::read_to_string(made.hand.device(GPU).join("driver_override")).unwrap(), "(null)\n");
}

#[test]
fn one_that_no_driver_takes_yet_is_announced() {
    let mut made = made(VFIO, Fault::NoDriver);
    let root = made.root();
    let bound = to_host(&root, &mut made.hand, gpu()).unwrap();
    assert_eq!(bound.driver, None);
    assert_eq!(made.hand.writes.last().unwrap(), "add>devices/0000:01:00.0/uevent");
}

#[test]
fn what_has_no_effect_is_told_with_function_and_attempt() {
    for (start, fault, expected) in [
        (VFIO, Fault::Deaf("driver_override"), "take back its promise to vfio-pci"),
        (VFIO, Fault::Deaf("unbind"), "unbind it from vfio-pci, but vfio-pci still has it"),
        (VFIO, Fault::Refuses("unbind"), "cannot unbind it from vfio-pci"),
        (VFIO, Fault::Refuses("drivers_probe"), "cannot let a driver of the host probe it"),
        ("nouveau", Fault::Deaf("driver_override"), "promise it to vfio-pci, but its driver_override"),
        ("nouveau", Fault::Deaf("unbind"), "unbind it from nouveau, but nouveau still has it"),
        ("nouveau", Fault::Deaf("drivers_probe"), "let vfio-pci probe it, but no driver has it"),
    ] {
        let mut made = made(start, fault);
        let root = made.root();
        let moved = if start == VFIO {
            to_host(&root, &mut made.hand, gpu())
        } else {
            to_vfio(&root, &mut made.hand, gpu())
        };
        let error = moved.unwrap_err().to_string();
        assert!(error.starts_with("0000:01:00.0: ") && error.contains(expected), "{fault:?}: {error}");
        if start == VFIO {
            let done = give_back(&root, &mut made.hand).unwrap();
            assert!(!done.failed.is_empty(), "{fault:?}");
        }
    }
}

#[test]
fn what_could_not_be_moved_keeps_no_promise() {
    let mut made = made("nouveau", Fault::Refuses("unbind"));
    let root = made.root();
    to_vfio(&root, &mut made.hand, gpu()).unwrap_err();
    assert_eq!(made.driver(GPU).as_deref(), Some("nouveau"));
    assert_eq!(fs::read_to_string(made.hand.device(GPU).join("driver_override")).unwrap(), "(null)\n");
}

#[test]
fn without_the_function_or_the_module_nothing_is_written() {
    let mut made = made("nouveau", Fault::Nothing);
    let root = made.root();
    let gone = to_host(&root, &mut made.hand, "0000:09:00.0".parse().unwrap()).unwrap_err();
    assert!(matches!(gone, RebindError::NotThere(_)), "{gone}");
    fs::remove_dir(made.tree.path().join("sys/bus/pci/drivers/vfio-pci")).unwrap();
    let bare = to_vfio(&root, &mut made.hand, gpu()).unwrap_err();
    assert!(matches!(bare, RebindError::NotLoaded(_)), "{bare}");
    assert!(made.hand.writes.is_empty());
}

fn bounded(tree: &Path, limit: Duration) -> Bounded {
    Bounded::new(&Root::directory(tree).unwrap(), limit).unwrap()
}

#[test]
fn a_child_writes_one_line_and_says_what_the_kernel_says() {
    let tree = tempfile::tempdir().unwrap();
    let mut hand = bounded(tree.path(), Duration::from_secs(10));
    fs::write(tree.path().join("attribute"), "old\n").unwrap();
    hand.write("/attribute", "$(reboot) '%s'").unwrap();
    assert_eq!(fs::read_to_string(tree.path().join("attribute")).unwrap(), "$(reboot) '%s'\n");
    let error = hand.write("/there/is/none", "x").unwrap_err().to_string();
    assert!(!error.is_empty() && !error.contains('\n'), "{error}");
    if Path::new("/dev/full").exists() {
        symlink("/dev/full", tree.path().join("full")).unwrap();
        let error = hand.write("/full", "x").unwrap_err().to_string();
        assert!(error.contains("No space left") || error.contains("I/O error"), "{error}");
    }
}

/// A fifo without a reader keeps whoever opens it, as a kernel keeps whoever unbinds a busy function.
#[test]
fn a_write_that_hangs_is_given_up() {
    let tree = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&tree.path().join("hangs"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let began = Instant::now();
    let error = bounded(tree.path(), Duration::from_millis(300)).write("/hangs", "x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
