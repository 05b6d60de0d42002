//! An image of mkinitcpio, unpacked by its own `lsinitcpio`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use neuron_tests::readers::output;
use tempfile::TempDir;

/// What lies in an image.
pub(crate) struct Image {
    folder: TempDir,
    files: BTreeSet<String>,
}

impl Image {
    pub(crate) fn unpack(image: &Path) -> Self {
        let folder = neuron_tests::scratch().unwrap();
        let mut command = Command::new("lsinitcpio");
        command.args(["--extract", "--nocolor"]).arg(image).current_dir(folder.path());
        let (good, _, complaint) = output(&mut command, "mkinitcpio").unwrap();
        assert!(good, "{}: {complaint}", image.display());
        let mut files = BTreeSet::new();
        list(folder.path(), "", &mut files);
        Self { folder, files }
    }

    /// Whether something lies there; a link counts where it leads to something.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.content(path).is_some()
    }

    pub(crate) fn content(&self, path: &str) -> Option<Vec<u8>> {
        let file = self.folder.path().join(path);
        // A link from the image's root leads into the image.
        let link = fs::read_link(&file).ok();
        match link.as_deref().and_then(|link| link.strip_prefix("/").ok()) {
            Some(link) => fs::read(self.folder.path().join(link)).ok(),
            None => fs::read(file).ok(),
        }
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.folder.path().join(path)).map_or(0, |file| file.permissions().mode())
    }

    /// The kernel modules in it, as `lsmod` names them.
    pub(crate) fn modules(&self) -> BTreeSet<String> {
        let names = self.files.iter().filter_map(|path| path.rsplit('/').next()?.split_once(".ko"));
        names.map(|(name, _)| name.replace('-', "_")).collect()
    }

    /// What is loaded in front of everything else, in this order.
    pub(crate) fn loaded(&self) -> Vec<String> {
        let loaded = self.setting("MODULES");
        if self.is_systemd() {
            let list = self.content("etc/modules-load.d/MODULES.conf").unwrap_or_default();
            let list: Vec<String> = String::from_utf8_lossy(&list).lines().map(str::to_owned).collect();
            assert!(list.starts_with(&loaded), "{list:?} {loaded:?}");
        }
        loaded
    }

    pub(crate) fn early_hooks(&self) -> Vec<String> {
        self.setting("EARLYHOOKS")
    }

    pub(crate) fn is_systemd(&self) -> bool {
        self.files.contains("usr/lib/systemd/systemd")
    }

    /// Whatever is in it because of us.
    pub(crate) fn ours(&self) -> Vec<String> {
        let is_ours = |path: &&String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            path.contains("neuron") || name.starts_with("vfio")
        };
        self.files.iter().filter(is_ours).cloned().collect()
    }

    /// In a line: what is ours, and what is loaded first.
    pub(crate) fn told(&self) -> String {
        let kind = if self.is_systemd() { "systemd" } else { "busybox" };
        let (loaded, hooks) = (self.loaded().join(" "), self.early_hooks().join(" "));
        let ours = self.ours().join(" ");
        format!("{} files, {kind}, loads [{loaded}], early hooks [{hooks}], ours: {ours}", self.files.len())
    }

    /// A list in the image's own configuration.
    fn setting(&self, name: &str) -> Vec<String> {
        let config = String::from_utf8(self.content("config").unwrap()).unwrap();
        let line = config.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=\""));
        line.unwrap_or_default().trim_end_matches('"').split_whitespace().map(str::to_owned).collect()
    }
}

/// The paths of everything but folders.
fn list(root: &Path, below: &str, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type().unwrap().is_dir() {
            list(root, &path, files);
        } else {
            files.insert(path);
        }
    }
}
