//! Answers that the live system was started with: nobody is asked, and the new system has them.

use std::fs;

use crate::installation::{Installation, STATE};
use crate::installer::Outcome;

const ANSWERS: &str = "etc/neuron/provisioner.toml";
const CREDENTIAL: &str = "run/credentials/@system/neuron.answers";

const CARD: &str = "schema = 1\n# of whoever made this\n[passthrough]\nguest_gpus = [\"0000:01:00.0\"]\n";
const OFF: &str = "schema = 1\n[passthrough]\nmode = \"off\"\n";

/// An installation on this machine, on which the page was skipped.
fn on(machine: &str) -> Installation {
    let installation = Installation::new(machine, "arch-grub", "grub");
    installation.stored(Some("off"));
    installation
}

impl Installation {
    /// Puts a file into the live system, or into the target.
    fn put(&self, root: &str, path: &str, text: &str) {
        let path = self.installer.path(root).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The jobs of the example, from the one that looks to the last.
    fn install(&self) -> Outcome {
        let jobs = self.jobs(true);
        let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
        self.installer.sequence(&[
            ("exec", &["vfio-setup@detect"]),
            ("exec", &jobs),
            ("show", &["finished"]),
        ]);
        self.installer.run()
    }

    /// The page skips itself, and its own "off" counts for nothing.
    fn installs_unasked(&self) {
        let outcome = self.install();
        assert_eq!(outcome.globals()["vfioSetup"]["state"], "nothing");
        assert_eq!(outcome.globals()["packagechooser_gpu"], "off");
    }

    fn gives_the_card_away(&self) -> bool {
        self.file("etc/modprobe.d/vfio.conf").is_some_and(|text| text.contains("10de:1e81"))
    }
}

const MACHINE: &str = "z390m-9900k-rtx2080s-usbc";

#[test]
fn without_answers_the_page_decides() {
    let installation = on(MACHINE);
    let outcome = installation.install();
    assert_eq!(outcome.globals()["vfioSetup"]["state"], "choice");
    assert!(!installation.gives_the_card_away() && installation.file(ANSWERS).is_none());
}

/// The page asks for the GPU alone; answers that were handed in are all that is to be said.
#[test]
fn what_the_page_does_not_ask_is_left_for_the_first_boot() {
    let left = |installation: &Installation| {
        installation
            .file(&format!("{STATE}/first-boot.json"))
            .is_some_and(|text| text.contains("\"questions\": true"))
    };
    let chosen = on(MACHINE);
    chosen.stored(Some("0000:01:00.0"));
    chosen.install().globals();
    assert!(chosen.gives_the_card_away() && left(&chosen));
    let handed = on(MACHINE);
    handed.put("machine", CREDENTIAL, CARD);
    handed.installs_unasked();
    assert!(handed.gives_the_card_away() && !left(&handed));
    let declined = on(MACHINE);
    declined.install().globals();
    assert!(!declined.gives_the_card_away() && !left(&declined));
}

#[test]
fn a_file_of_the_medium_is_followed_and_stays_as_it_is_in_the_new_system() {
    let installation = on(MACHINE);
    installation.put("machine", ANSWERS, CARD);
    // The new system is a copy of the medium.
    installation.put("target", ANSWERS, CARD);
    installation.installs_unasked();
    assert!(installation.gives_the_card_away());
    assert_eq!(installation.file(ANSWERS).unwrap(), CARD);
}

#[test]
fn a_credential_wins_over_the_file_and_is_handed_on() {
    let installation = on(MACHINE);
    installation.put("machine", ANSWERS, OFF);
    installation.put("target", ANSWERS, OFF);
    installation.put("machine", CREDENTIAL, CARD);
    installation.installs_unasked();
    assert!(installation.gives_the_card_away());
    let kept = installation.file(ANSWERS).unwrap();
    assert!(kept.starts_with("# Written by neuron-provisioner") && kept.ends_with(CARD), "{kept}");
}

#[test]
fn a_credential_that_says_no_is_handed_on_too() {
    let installation = on(MACHINE);
    installation.put("machine", CREDENTIAL, OFF);
    installation.stored(Some("0000:01:00.0"));
    installation.install().globals();
    assert!(!installation.gives_the_card_away());
    assert!(installation.file(ANSWERS).unwrap().ends_with(OFF));
}

/// The first boot finds answers to follow: it may see more of the machine than the installer did.
#[test]
fn where_the_installer_cannot_the_answers_are_there_for_the_first_boot() {
    let installation = on("dual-gtx480-identical");
    let answers = CARD.replace("01:00", "02:00");
    installation.put("machine", ANSWERS, &answers);
    installation.put("target", ANSWERS, &answers);
    installation.installs_unasked();
    assert!(installation.file("etc/modprobe.d/vfio.conf").is_none());
    assert!(installation.file(&format!("{STATE}/refusal.json")).is_some());
    assert_eq!(installation.file(ANSWERS).unwrap(), answers);
}

#[test]
fn answers_that_are_wrong_stop_the_installation_and_say_where() {
    let installation = on(MACHINE);
    installation.put("machine", CREDENTIAL, &CARD.replace("guest_gpus", "guest_gpu"));
    let outcome = installation.install();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "The GPU passthrough module is not configured correctly");
    assert!(detail.contains("neuron.answers") && detail.contains("line 4"), "{detail}");
    assert!(detail.contains("did you mean `guest_gpus`?"), "{detail}");
    assert!(!installation.gives_the_card_away());
}
