//! Looking Glass: whether, how large, and for whom.

use neuron_passthrough::answers::Answers;

use super::{Step, Taken, is_on};
use crate::wizard::{Draft, Question, Seen};

/// The usual sizes.
const SIZES: [&str; 4] = ["1920x1080", "2560x1440", "3440x1440", "3840x2160"];

pub(super) const STEPS: &[Step] = &[
    Step {
        id: "looking-glass",
        applies: is_on,
        ask: |_, draft| {
            let options = ["Yes", "No, the card gets a monitor or an input of its own"];
            Question::choice("Set up Looking Glass?", options.map(str::to_owned).to_vec())
                .proposing(usize::from(!draft.answers.looking_glass.enable))
                .text(
                    "Looking Glass shows the virtual machine's picture in a window of this computer, as fast as \
                     a cable would. Without it you look at the card's own outputs.",
                )
        },
        take: |_, draft, answer| {
            draft.answers.looking_glass.enable = answer.index() == 0;
            Ok(Taken::Next)
        },
    },
    Step {
        id: "resolution",
        applies: is_shown,
        ask: |_, draft| {
            let now = &draft.answers.looking_glass.resolution;
            let other = if SIZES.contains(&now.as_str()) {
                "Another".to_owned()
            } else {
                format!("Another ({now} now)")
            };
            let options = SIZES.iter().map(|size| (*size).to_owned()).chain([other]).collect();
            let proposed = SIZES.iter().position(|size| size == now).unwrap_or(SIZES.len());
            Question::choice("How large is the picture at most?", options)
                .proposing(if draft.types_resolution { SIZES.len() } else { proposed })
                .text("The size of your monitor in pixels. Memory for two such pictures is set aside.")
        },
        take: |_, draft, answer| {
            draft.types_resolution = answer.index() >= SIZES.len();
            if let Some(size) = SIZES.get(answer.index()) {
                (*size).clone_into(&mut draft.answers.looking_glass.resolution);
            }
            Ok(Taken::Next)
        },
    },
    Step {
        id: "other-resolution",
        applies: |seen, draft| is_shown(seen, draft) && draft.types_resolution,
        ask: |_, draft| {
            Question::line("Width x height in pixels", draft.answers.looking_glass.resolution.clone())
        },
        take: |_, draft, answer| {
            let mut wanted = draft.answers.clone();
            wanted.looking_glass.resolution = answer.line().to_ascii_lowercase().replace(' ', "");
            // The rules of an answers file are those that count.
            let text = wanted.render().map_err(|problem| problem.message)?;
            Answers::parse(&text)
                .map_err(|problem| format!("{}; {}", problem.message, problem.hint.unwrap_or_default()))?;
            draft.answers = wanted;
            Ok(Taken::Next)
        },
    },
    Step {
        id: "hdr",
        applies: is_shown,
        ask: |_, draft| {
            let options = ["No", "Yes"].map(str::to_owned).to_vec();
            Question::choice("Does the virtual machine draw in HDR?", options)
                .proposing(usize::from(draft.answers.looking_glass.hdr))
                .text(
                    "Say yes where Windows and its games are to use HDR: then every pixel takes twice the \
                     memory.",
                )
        },
        take: |_, draft, answer| {
            draft.answers.looking_glass.hdr = answer.index() == 1;
            Ok(Taken::Next)
        },
    },
    Step {
        id: "users",
        applies: |seen, draft| is_shown(seen, draft) && !people(seen, draft).is_empty(),
        ask: ask_users,
        take: take_users,
    },
];

fn is_shown(seen: &Seen<'_>, draft: &Draft) -> bool {
    is_on(seen, draft) && draft.answers.looking_glass.enable
}

/// Everybody who has an account, and whom the answers name already.
fn people(seen: &Seen<'_>, draft: &Draft) -> Vec<String> {
    let mut people = seen.people.clone();
    people
        .extend(draft.answers.looking_glass.users.iter().filter(|user| !seen.people.contains(user)).cloned());
    people
}

fn ask_users(seen: &Seen<'_>, draft: &Draft) -> Question {
    let chosen = &draft.answers.looking_glass.users;
    let people = people(seen, draft);
    let mut options: Vec<String> = people
        .iter()
        .map(|name| format!("[{}] {name}", if chosen.contains(name) { 'x' } else { ' ' }))
        .collect();
    options.push(if chosen.is_empty() { "Nobody but root" } else { "Go on with these" }.to_owned());
    // The one person of a computer is meant.
    let is_open = chosen.is_empty() && !draft.left_open.contains("users");
    let proposed = if is_open && people.len() == 1 { 0 } else { people.len() };
    Question::choice("Who may look at the picture?", options)
        .proposing(proposed)
        .text("Whoever is marked with [x] may open the virtual machine's picture. Choosing a name marks or unmarks it.")
}

fn take_users(seen: &Seen<'_>, draft: &mut Draft, answer: &crate::wizard::Answer) -> Result<Taken, String> {
    let people = people(seen, draft);
    let Some(name) = people.get(answer.index()) else {
        draft.leave_open("users", draft.answers.looking_glass.users.is_empty());
        return Ok(Taken::Next);
    };
    let users = &mut draft.answers.looking_glass.users;
    match users.iter().position(|user| user == name) {
        Some(index) => {
            users.remove(index);
        }
        None => users.push(name.clone()),
    }
    Ok(Taken::Again)
}
