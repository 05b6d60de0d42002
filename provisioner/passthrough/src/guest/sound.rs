//! Sound to `PipeWire`, which plays for one person: in that person's session, and for programs of that
//! person's.

use super::domain::Problem;
use crate::answers::Answers;
use crate::facts::Target;
use crate::facts::target::QEMU_CONF;
use crate::text::{accounts, qemu_conf};

/// Where QEMU finds the `PipeWire` of who hears the machines, or why it would find none.
///
/// QEMU's user is not changed here: it would be another one for every virtual machine of the system.
pub fn runtime_dir(answers: &Answers, target: &Target) -> Result<String, Problem> {
    let problem = |why: String, hint: &str| {
        Err(Problem { key: "audio.backend".to_owned(), why, hint: hint.to_owned() })
    };
    let Some(user) = answers.looking_glass.users.first() else {
        return problem(
            "sound to PipeWire is for one person, and looking_glass.users names nobody".to_owned(),
            "name first who is to hear it, like users = [\"vera\"] below [looking_glass]",
        );
    };
    let Some(account) = accounts::user(target.text("/etc/passwd").unwrap_or_default(), user) else {
        return problem(
            format!("looking_glass.users names `{user}` first, and there is no such user"),
            "name first who is to hear it",
        );
    };
    if target.closed.iter().any(|path| path.as_str() == QEMU_CONF) {
        return problem(format!("{QEMU_CONF} can be read by root alone"), "run as root");
    }
    let runs_as = match qemu_conf::user(target.text(QEMU_CONF).unwrap_or_default()) {
        Ok(name) => name,
        Err(error) => return problem(format!("{QEMU_CONF}, {error}"), "mend that line by hand"),
    };
    let is_it = |name: &str| name == user || name.trim_start_matches('+') == account.uid.to_string();
    if !runs_as.as_deref().is_some_and(is_it) {
        let who = runs_as.unwrap_or_else(|| "a user of its own".to_owned());
        return problem(
            format!("QEMU runs as {who}, whom the PipeWire of `{user}` does not let in"),
            &format!(
                "use backend = \"spice\" or \"none\"; or have every virtual machine run as that person: \
                 user = \"{user}\" in {QEMU_CONF}, then restart libvirt"
            ),
        );
    }
    Ok(format!("/run/user/{}", account.uid))
}
