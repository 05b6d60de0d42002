//! The real dracut (package dracut-core), with the configuration of a target.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::readers::output;
use crate::scenario::Ground;

/// dracut on a kernel, with a target's `/etc` in place of this system's.
#[derive(Debug)]
pub struct Dracut<'a> {
    /// A folder with `lib/modules/<release>`.
    pub kernel: &'a Path,
    /// The kernel's release.
    pub release: &'a str,
    /// What is laid over `/etc`.
    pub etc: &'a Path,
    /// Whether the package with the early hook is installed: its files as they are shipped.
    pub hook: bool,
}

impl Dracut<'_> {
    /// Builds an image. Everything that dracut complains of is an error.
    pub fn build<S: AsRef<OsStr>>(&self, image: &Path, arguments: &[S]) -> io::Result<()> {
        let mut command = Command::new(crate::tests_folder().join("lab/dracut-image"));
        let lib = if self.hook { hooks().canonicalize()? } else { PathBuf::new() };
        command.arg(self.kernel.canonicalize()?).arg(self.release).arg(self.etc.canonicalize()?).arg(lib);
        let (good, _, complaint) = output(command.arg(image).args(arguments), "dracut-core")?;
        if good && image.exists() {
            return Ok(());
        }
        Err(io::Error::other(format!("dracut: {complaint}")))
    }
}

/// The files of the package with the early hook, below `/usr/lib`.
pub fn hooks() -> PathBuf {
    crate::tests_folder().join("../archiso-hooks/neuron-initcpio-hooks/usr/lib")
}

/// The drop-in as the program writes it, for a target with the early hook or one without.
pub fn drop_in(hook: bool) -> io::Result<String> {
    let ground = Ground::new("made-rtx-usbc-igpu", if hook { "dracut-early-hook" } else { "dracut-only" })?;
    let done = ground.run(&["apply", "--yes"])?;
    if done.code != 4 {
        return Err(io::Error::other(done.stderr));
    }
    std::fs::read_to_string(ground.target().join("etc/dracut.conf.d/95-neuron-vfio.conf"))
}
