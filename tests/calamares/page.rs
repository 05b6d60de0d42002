//! The page, on a screen.

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::installer::{Installer, Outcome, Running, module_sources};
use crate::screen::Screen;

const CARD: &str = "0000:01:00.0";
/// A place on the second thing to choose, whatever the fonts of the suite.
const SECOND_CARD: (u32, u32) = (600, 210);

/// The page between `welcome` and the end, told what `found` says.
fn installation(found: &Value) -> Installer {
    let installer = Installer::new();
    installer.sequence(&[
        ("exec", &["partition"]),
        ("show", &["welcome", "packagechooserq@gpu", "summary"]),
        ("exec", &["standin-verdict"]),
        ("show", &["finished"]),
    ]);
    installer.configure_from(&module_sources().join("examples/grub/modules"), "packagechooserq@gpu");
    installer.configure(
        "welcome",
        "requirements: { requiredStorage: 0, requiredRam: 0, check: [], required: [] }",
    );
    installer.configure("summary", "{}");
    installer.globals(&json!({ "vfioSetup": found }));
    installer
}

fn found(state: &str, cards: &[(&str, &str)]) -> Value {
    let mut options = Vec::new();
    if !cards.is_empty() {
        options.push(json!({ "id": "off", "title": "", "detail": "" }));
    }
    options.extend(cards.iter().map(|(id, title)| json!({ "id": id, "title": title, "detail": id })));
    json!({
        "state": state, "headline": "Intel UHD Graphics 630, NVIDIA GeForce RTX 3070", "explanation": "Because.",
        "reason": "", "options": options, "preset": "off",
    })
}

fn one_card() -> Value {
    found("choice", &[(CARD, "NVIDIA GeForce RTX 3070")])
}

/// Starts and goes on to the page.
fn show<'a>(installer: &'a Installer, screen: &Screen) -> Running<'a> {
    let mut running = installer.start(&[("DISPLAY", screen.display())]);
    running.wait_for("All requirements have been checked", 1);
    go_on_to_the_page(&mut running, screen, "alt+n");
    running
}

/// Leaves the welcome page. A window that is only just coming up may swallow the key.
fn go_on_to_the_page(running: &mut Running<'_>, screen: &Screen, next: &str) {
    const THERE: &str = "\"onActivate()\" returned";
    for _ in 0..3 {
        screen.focus();
        screen.keys(&[next]);
        if running.logs_soon(THERE) {
            return;
        }
    }
    running.wait_for(THERE, 1);
}

/// Goes through the pages that are left and installs, by keyboard.
fn install(running: Running<'_>, screen: &Screen) -> Outcome {
    // "Next", which is "Weiter" in German, and "Install".
    running.finish_by(|| screen.keys(&["alt+n", "alt+w", "alt+i"]))
}

#[test]
fn the_keyboard_alone_chooses_a_card() {
    let (installer, screen) = (installation(&one_card()), Screen::new());
    let running = show(&installer, &screen);
    screen.picture("choice");
    screen.keys(&["Down"]);
    screen.picture("choice-keyboard");
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], CARD);
}

#[test]
fn the_mouse_alone_chooses_a_card() {
    let (installer, screen) = (installation(&one_card()), Screen::new());
    let running = show(&installer, &screen);
    screen.click(SECOND_CARD.0, SECOND_CARD.1);
    screen.picture("choice-mouse");
    let outcome = running.finish_by(|| screen.click(880, 502));
    assert_eq!(outcome.globals()["packagechooser_gpu"], CARD);
}

#[test]
fn whoever_only_clicks_next_keeps_every_card() {
    let (installer, screen) = (installation(&one_card()), Screen::new());
    let running = show(&installer, &screen);
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], "off");
}

#[test]
fn a_choice_survives_going_back_and_forth() {
    let (installer, screen) = (installation(&one_card()), Screen::new());
    let mut running = show(&installer, &screen);
    screen.keys(&["Down", "alt+n", "alt+b"]);
    running.wait_for("\"onActivate()\" returned", 2);
    assert!(running.log().contains("choice, chosen: 0000:01:00.0"), "{}", running.log());
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], CARD);
}

#[test]
fn with_nothing_to_ask_the_page_skips_itself_in_both_directions() {
    let (installer, screen) = (installation(&found("nothing", &[])), Screen::new());
    let mut running = show(&installer, &screen);
    running.wait_for("nothing to ask, skipped forwards", 1);
    screen.keys(&["alt+b"]);
    running.wait_for("nothing to ask, skipped backwards", 1);
    screen.keys(&["alt+n"]);
    running.wait_for("nothing to ask, skipped forwards", 2);
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], "off");
}

#[test]
fn a_refusal_is_explained_and_ends_in_off() {
    let (installer, screen) = (installation(&found("refused", &[])), Screen::new());
    let running = show(&installer, &screen);
    screen.picture("refused");
    screen.keys(&["Down"]);
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], "off");
}

#[test]
fn several_cards_can_be_told_apart_in_german_and_in_the_dark() {
    let cards = [(CARD, "NVIDIA GeForce RTX 3070"), ("0000:02:00.0", "AMD Radeon RX 580")];
    let mut installer = installation(&found("pending", &cards));
    installer.speak("de_DE.UTF-8");
    dark_desktop(&mut installer);
    let screen = Screen::new();
    let mut running = installer.start(&[("DISPLAY", screen.display())]);
    running.wait_for("All requirements have been checked", 1);
    go_on_to_the_page(&mut running, &screen, "alt+w");
    screen.keys(&["Down", "Down"]);
    screen.picture("pending-german-dark");
    assert_eq!(install(running, &screen).globals()["packagechooser_gpu"], "0000:02:00.0");
}

/// The colours of a dark Plasma desktop, which Qt itself reads.
fn dark_desktop(installer: &mut Installer) {
    let colours = "[Colors:Window]\nBackgroundNormal=42,46,50\nForegroundNormal=252,252,252\n\
                   [Colors:View]\nBackgroundNormal=27,30,32\nForegroundNormal=252,252,252\n\
                   [Colors:Button]\nBackgroundNormal=49,54,59\nForegroundNormal=252,252,252\n\
                   [Colors:Selection]\nBackgroundNormal=61,174,233\nForegroundNormal=252,252,252\n";
    std::fs::create_dir_all(installer.path("home/config")).unwrap();
    std::fs::write(installer.path("home/config/kdeglobals"), colours).unwrap();
    for (name, value) in
        [("XDG_CURRENT_DESKTOP", "KDE"), ("KDE_SESSION_VERSION", "5"), ("KDE_FULL_SESSION", "true")]
    {
        installer.environment(name, value);
    }
}

/// The real `detect`, the real page and the real job, on a machine.
fn whole(machine: &str) -> Installation {
    let installation = Installation::new(machine, "arch-grub", "grub");
    let installer = &installation.installer;
    installer.configure(
        "welcome",
        "requirements: { requiredStorage: 0, requiredRam: 0, check: [], required: [] }",
    );
    installer.configure("summary", "{}");
    installer.sequence(&[
        ("exec", &["vfio-setup@detect"]),
        ("show", &["welcome", "packagechooserq@gpu", "summary"]),
        ("exec", &["partition", "vfio-setup", "standin-verdict"]),
        ("show", &["finished"]),
    ]);
    installation
}

#[test]
fn a_card_that_was_found_and_chosen_ends_up_in_the_target() {
    let (installation, screen) = (whole("z390m-9900k-rtx2080s-usbc"), Screen::new());
    let running = show(&installation.installer, &screen);
    screen.picture("found-choice");
    screen.click(SECOND_CARD.0, SECOND_CARD.1);
    screen.picture("found-chosen");
    let outcome = install(running, &screen);
    assert_eq!(outcome.globals()["vfioSetup"]["state"], "choice");
    assert_eq!(outcome.globals()["packagechooser_gpu"], CARD);
    let conf = installation.file("etc/modprobe.d/vfio.conf").unwrap();
    assert!(conf.contains("options vfio-pci ids=10de:1e81,10de:10f8,10de:1ad8,10de:1ad9"), "{conf}");
}

#[test]
fn a_machine_without_a_choice_is_not_asked_and_not_changed() {
    let (installation, screen) = (whole("tum-4124gs-epyc-iommu-off"), Screen::new());
    let mut running = show(&installation.installer, &screen);
    running.wait_for("nothing to ask, skipped forwards", 1);
    let outcome = install(running, &screen);
    assert_eq!(outcome.globals()["vfioSetup"]["state"], "nothing");
    assert!(installation.file("etc/modprobe.d/vfio.conf").is_none());
    assert!(!installation.installer.target().join("var/lib/neuron-provisioner").exists());
}

#[test]
fn a_pending_machine_says_so_and_notes_the_card_down() {
    let (installation, screen) = (whole("made-intel-pending"), Screen::new());
    let running = show(&installation.installer, &screen);
    screen.picture("found-pending");
    screen.keys(&["Down"]);
    screen.picture("found-pending-chosen");
    let outcome = install(running, &screen);
    assert_eq!(outcome.globals()["vfioSetup"]["state"], "pending");
    assert_eq!(outcome.globals()["packagechooser_gpu"], CARD);
    assert!(installation.file("etc/modprobe.d/vfio.conf").is_none());
    assert!(installation.file("etc/default/grub").unwrap().contains("intel_iommu=on"));
    assert!(installation.file("var/lib/neuron-provisioner/candidate.json").unwrap().contains(CARD));
}

#[test]
fn a_machine_that_cannot_is_told_why() {
    let (installation, screen) = (whole("z270e-gtx1080-igpu0380"), Screen::new());
    let running = show(&installation.installer, &screen);
    screen.picture("found-refused");
    let outcome = install(running, &screen);
    assert_eq!(outcome.globals()["vfioSetup"]["state"], "refused");
    assert_eq!(outcome.globals()["packagechooser_gpu"], "off");
}
