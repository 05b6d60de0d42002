//! Which units a target would start, said by systemd itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Nobody: systemd does not work out a transaction for root.
const NOBODY: &str = "65534";

/// The units that systemd would start on the way to `multi-user.target`. What the target has not is
/// this machine's: it holds none of systemd's own.
pub(crate) fn started_by(root: &Path) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut path = Vec::new();
    for folder in ["etc/systemd/system", "usr/lib/systemd/system"] {
        let to = copy.path().join(folder);
        fs::create_dir_all(&to).unwrap();
        let done = Command::new("cp").arg("-a").arg(root.join(folder).join(".")).arg(&to).status().unwrap();
        assert!(done.success(), "{folder}");
        path.push(to.display().to_string());
    }
    path.push("/usr/lib/systemd/system".to_owned());
    let is_root = nix::unistd::geteuid().is_root();
    let mut systemd = Command::new(if is_root { "setpriv" } else { SYSTEMD });
    if is_root {
        systemd.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", SYSTEMD]);
    }
    systemd.args(["--test", "--system", "--unit=multi-user.target"]);
    let done = systemd.env("SYSTEMD_UNIT_PATH", path.join(":")).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("Action: multi-user.target -> start"), "systemd made no transaction: {said}");
    let actions = said.lines().filter_map(|line| line.trim().strip_prefix("Action: "));
    actions.filter_map(|action| action.strip_suffix(" -> start")).map(str::to_owned).collect()
}
