//! Which kernel and images a boot started.
//!
//! Nobody tells. But what lay there when the boot began, and lies there unchanged, is what the loader
//! found; and a kernel says in its header which build it is. A clock that was set meanwhile, or an
//! update between the start and the first login, cannot be taken for it.

use super::{BootFiles, Boots};
use crate::bootloader::Proven;
use crate::facts::target::{is_kept, kernel_version};
use crate::facts::{FactsError, Machine, Target, boot_id};
use crate::root::{ReadError, Root};

/// What lies on the boot partitions now. Where that cannot be read, this boot is counted all the same,
/// and starts no copies.
pub(super) fn note(machine: &Root, target: &Root, boot: String) -> Option<BootFiles> {
    let read = || -> Result<BootFiles, FactsError> {
        let facts = Target::read(target, &Machine::read(machine)?)?;
        let mut files = BootFiles { boot, stamps: std::collections::BTreeMap::new() };
        for path in facts.boot_files.keys().filter(|path| !is_kept(path)) {
            if let Some(stamp) = target.stamp(path)? {
                files.stamps.insert(path.clone(), stamp);
            }
        }
        Ok(files)
    };
    read().inspect_err(|error| tracing::warn!("what this boot started is not known: {error}")).ok()
}

/// What this boot is known to have started. Nothing where its beginning was not seen.
pub fn proven(machine: &Root, target: &Root, boots: &Boots) -> Result<Proven, ReadError> {
    let mut proven = Proven::default();
    let (Some(files), Some(now)) = (&boots.files, boot_id(machine)) else { return Ok(proven) };
    if files.boot != now {
        return Ok(proven);
    }
    let running = |name: &str| machine.attribute(&format!("/proc/sys/kernel/{name}"));
    let (Some(release), Some(build)) = (running("osrelease")?, running("version")?) else {
        return Ok(proven);
    };
    for (path, stamp) in &files.stamps {
        if target.stamp(path)?.as_ref() != Some(stamp) {
            continue;
        }
        proven.files.insert(path.clone());
        if kernel_version(target, path)?.is_some_and(|version| is_build(&version, &release, &build)) {
            proven.kernels.insert(path.clone());
        }
    }
    Ok(proven)
}

/// `init/version.c`: release, who built it, and the build, which two kernels of one release differ in.
fn is_build(version: &str, release: &str, build: &str) -> bool {
    let rest = version.strip_prefix(release).and_then(|rest| rest.strip_prefix(" ("));
    rest.and_then(|rest| rest.strip_suffix(build)).is_some_and(|who| who.ends_with(") "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::kernel_image::tests::{OF_DEBIAN, header};

    const BUILD: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)";

    #[test]
    fn a_kernel_says_which_build_it_is() {
        assert!(is_build(OF_DEBIAN, "6.1.0-25-amd64", BUILD));
        assert!(!is_build(OF_DEBIAN, "6.1.0-25", BUILD));
        assert!(!is_build(OF_DEBIAN, "6.1.0-26-amd64", BUILD));
        assert!(!is_build(
            OF_DEBIAN,
            "6.1.0-25-amd64",
            "#2 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)"
        ));
        assert!(
            !is_build(OF_DEBIAN, "6.1.0-25-amd64", "(2024-08-26)"),
            "a part of the build is not the build"
        );
        assert!(!is_build("", "", ""));
    }

    struct Made {
        tree: tempfile::TempDir,
        boots: Boots,
    }

    const KERNEL: &str = "/boot/vmlinuz-linux";
    const IMAGE: &str = "/boot/initramfs-linux.img";

    /// A machine that runs Debian's kernel and began its boot with these two files.
    fn made() -> Made {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = tree.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        put("proc/sys/kernel/random/boot_id", b"this-boot\n");
        put("proc/sys/kernel/osrelease", b"6.1.0-25-amd64\n");
        put("proc/sys/kernel/version", format!("{BUILD}\n").as_bytes());
        put(KERNEL, &header(OF_DEBIAN));
        put(IMAGE, b"image");
        let root = Root::directory(tree.path()).unwrap();
        let stamps = [KERNEL, IMAGE].map(|path| (path.to_owned(), root.stamp(path).unwrap().unwrap()));
        let files = Some(BootFiles { boot: "this-boot".to_owned(), stamps: stamps.into() });
        let mut boots = Boots::default();
        boots.files = files;
        Made { tree, boots }
    }

    impl Made {
        fn proven(&self) -> (Vec<String>, Vec<String>) {
            let root = Root::directory(self.tree.path()).unwrap();
            let proven = proven(&root, &root, &self.boots).unwrap();
            (proven.kernels.into_iter().collect(), proven.files.into_iter().collect())
        }

        fn put(&self, path: &str, bytes: &[u8]) {
            std::fs::write(self.tree.path().join(path.trim_start_matches('/')), bytes).unwrap();
        }
    }

    #[test]
    fn what_lies_there_unchanged_and_runs_is_what_was_started() {
        assert_eq!(made().proven(), (vec![KERNEL.to_owned()], vec![IMAGE.to_owned(), KERNEL.to_owned()]));
        let changed = made();
        // The same size: the time tells.
        std::thread::sleep(std::time::Duration::from_millis(20));
        changed.put(IMAGE, b"IMAGE");
        assert_eq!(changed.proven(), (vec![KERNEL.to_owned()], vec![KERNEL.to_owned()]));
        let updated = made();
        updated.put("/proc/sys/kernel/version", b"#2 SMP\n");
        assert_eq!(updated.proven().0, Vec::<String>::new());
        let rebooted = made();
        rebooted.put("/proc/sys/kernel/random/boot_id", b"another\n");
        assert_eq!(rebooted.proven(), (Vec::new(), Vec::new()));
        let unseen = Made { boots: Boots::default(), ..made() };
        assert_eq!(unseen.proven(), (Vec::new(), Vec::new()));
    }
}
