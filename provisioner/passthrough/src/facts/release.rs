//! Which release of Looking Glass is installed: client and host application have to be of the same one.

use std::sync::LazyLock;

use regex::Regex;

use super::FactsError;
use crate::root::Root;

/// Where the client may lie.
const PROGRAMS: [&str; 2] = ["/usr/bin/looking-glass-client", "/usr/local/bin/looking-glass-client"];
const PACMAN: &str = "/var/lib/pacman/local";
const DPKG: &str = "/var/lib/dpkg/status";

/// A package with the client, as pacman names its folder: name, version and release.
static FOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^looking-glass(?:-client)?(?:-git)?-(?:[0-9]+:)?([^-]*[0-9][^-]*)-[^-]+$").ok()
});
/// A release, as tags, packages and the programs themselves spell it: `B7`, `0+b7+ds1-1`, `B7-rc1`.
static RELEASE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?:^|[^a-z0-9])b([0-9]+)(?:[-.~+_]?rc([0-9]+))?").ok());

/// The Looking Glass client of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// There is none.
    Absent,
    /// It is there, and no package tells its release.
    Untold,
    /// It is there: its version, as its package has it.
    Version(String),
}

impl Client {
    /// Looks into the package managers' records: a program that is asked would have to be run.
    pub fn read(system: &Root) -> Result<Self, FactsError> {
        let mut is_there = false;
        for path in PROGRAMS {
            is_there |= system.exists(path)?;
        }
        if !is_there {
            return Ok(Self::Absent);
        }
        Ok(version(system)?.map_or(Self::Untold, Self::Version))
    }
}

fn version(system: &Root) -> Result<Option<String>, FactsError> {
    let of_folder = |name: &String| {
        let found = FOLDER.as_ref()?.captures(name)?;
        Some(found.get(1)?.as_str().to_owned())
    };
    if let Some(version) = system.list(PACMAN)?.unwrap_or_default().iter().find_map(of_folder) {
        return Ok(Some(version));
    }
    let status = system.read(DPKG)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&status).split("\n\n").find_map(of_stanza))
}

fn of_stanza(stanza: &str) -> Option<String> {
    let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let is_it =
        field("Package") == Some("looking-glass-client") && field("Status") == Some("install ok installed");
    is_it.then(|| field("Version").map(str::to_owned)).flatten()
}

/// The release in what a program or a package calls its version: `B7`; `None` where it names none.
pub fn release(version: &str) -> Option<String> {
    let found = RELEASE.as_ref()?.captures(version)?;
    let candidate = found.get(2).map_or_else(String::new, |number| format!("-rc{}", number.as_str()));
    Some(format!("B{}{candidate}", found.get(1)?.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Client {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Client::read(&Root::directory(dir.path()).unwrap()).unwrap()
    }

    #[test]
    fn packages_tell_the_release() {
        const PROGRAM: (&str, &str) = ("usr/bin/looking-glass-client", "");
        let arch = |name: &str| read(&[PROGRAM, (&format!("var/lib/pacman/local/{name}/desc"), "")]);
        let version = |text: &str| Client::Version(text.to_owned());
        assert_eq!(arch("looking-glass-2:B7-1"), version("B7"));
        assert_eq!(arch("looking-glass-git-2:B7.r12.g1234567-1"), version("B7.r12.g1234567"));
        assert_eq!(arch("looking-glass-module-dkms-2:B7-1"), Client::Untold);
        assert_eq!(arch("looking-glass-host-B7-1"), Client::Untold);
        let debian = |status: &str| {
            let text = format!(
                "Package: other\nStatus: install ok installed\nVersion: 1\n\nPackage: looking-glass-client\n\
                 Status: {status}\nVersion: 0+b7+ds1-1\nDescription: x\n\nPackage: z\nVersion: 2\n"
            );
            read(&[PROGRAM, ("var/lib/dpkg/status", &text)])
        };
        assert_eq!(debian("install ok installed"), version("0+b7+ds1-1"));
        assert_eq!(debian("deinstall ok config-files"), Client::Untold);
        assert_eq!(read(&[("var/lib/pacman/local/looking-glass-B7-1/desc", "")]), Client::Absent);
    }

    #[test]
    fn one_release_has_many_spellings() {
        for (text, wanted) in [
            ("B7", Some("B7")),
            ("0+b7+ds1-1", Some("B7")),
            ("B7.r12.g1234567", Some("B7")),
            ("B7-4-gb12c8", Some("B7")),
            ("B6-rc1", Some("B6-rc1")),
            ("0+b7~rc2-1", Some("B7-rc2")),
            ("B10", Some("B10")),
            ("cab7", None),
            ("1.0", None),
            ("", None),
        ] {
            assert_eq!(release(text).as_deref(), wanted, "{text}");
        }
    }
}
