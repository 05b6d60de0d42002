//! `/etc/neuron/vfio-devices`: one function a line, as role, address, id, board id and class.
//!
//! The early hook reads the same lines by its own means (`neuron-vfio-claim`, `check_list`).

use super::TextError;
use crate::id::{PciAddress, PciId};

/// Stands where the host keeps no GPU, since somebody allowed that: in place of its line.
pub const WITHOUT_HOST: &str = "host none";

/// Whether a function is given away or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It goes to vfio-pci.
    Guest,
    /// It is the GPU that the host keeps.
    Host,
}

/// One function, as it was when it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whose it is.
    pub role: Role,
    /// Where it sat.
    pub address: PciAddress,
    /// Vendor and device; `None` for `-`, which the machine did not say.
    pub id: Option<PciId>,
    /// Vendor and device of the board; `None` where any board will do.
    pub subsystem: Option<PciId>,
    /// Its class, six hexadecimal digits.
    pub class: String,
}

/// The functions of the list, in its order.
pub fn parse(text: &str) -> Result<Vec<Recorded>, TextError> {
    let mut functions: Vec<Recorded> = Vec::new();
    let mut without_host = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == WITHOUT_HOST {
            without_host = Some(TextError::at(number, line, "stands beside the line of a host GPU"));
            continue;
        }
        let function = function(line, number)?;
        if functions.iter().any(|other| other.address == function.address) {
            return Err(TextError::at(number, line, "names a function that stands further up already"));
        }
        functions.push(function);
    }
    match without_host.filter(|_| functions.iter().any(|one| one.role == Role::Host)) {
        Some(contradiction) => Err(contradiction),
        None => Ok(functions),
    }
}

/// Whether a list says that the host keeps no GPU.
pub fn is_without_host(text: &str) -> bool {
    text.lines().any(|line| line.trim() == WITHOUT_HOST)
}

fn function(line: &str, number: usize) -> Result<Recorded, TextError> {
    let wrong = |why: &str| TextError::at(number, line, why);
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[role, address, id, board, class] = fields.as_slice() else {
        return Err(wrong("has not the five fields role, address, vendor:device, board, class"));
    };
    let role = match role {
        "guest" => Role::Guest,
        "host" => Role::Host,
        _ => return Err(wrong("has a role that is neither `guest` nor `host`")),
    };
    let pair = |text: &str| match text {
        "-" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| wrong("has an id that is not like 10de:2204")),
    };
    if class.len() != 6 || !class.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("has a class that is not six hexadecimal digits"));
    }
    Ok(Recorded {
        role,
        address: address.parse().map_err(|_| wrong("has no PCI address like 0000:01:00.0"))?,
        id: pair(id)?,
        subsystem: pair(board)?.filter(|board: &PciId| (board.vendor, board.device) != (0, 0)),
        class: class.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "# head\n\nguest 0000:01:00.0 10de:2204 1458:403b 030000\nhost 10000:00:02.0 8086:3e92 - 030000\n";
        let read = parse(text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].role, read[1].role), (Role::Guest, Role::Host));
        assert_eq!(read[0].id.unwrap().to_string(), "10de:2204");
        assert_eq!((read[1].address.to_string().as_str(), read[1].subsystem), ("10000:00:02.0", None));
    }

    #[test]
    fn any_board_will_do_where_there_was_none() {
        let read = parse("guest 0000:01:00.0 10de:2204 0000:0000 030000").unwrap();
        assert_eq!(read[0].subsystem, None);
    }

    #[test]
    fn a_host_without_gpu_is_said_and_stands_alone() {
        let guest = "guest 0000:01:00.0 10de:2204 - 030000\n";
        assert_eq!(parse(&format!("{guest}{WITHOUT_HOST}\n")).unwrap().len(), 1);
        let both = format!("{guest}{WITHOUT_HOST}\nhost 0000:00:02.0 8086:3e92 - 030000\n");
        assert_eq!(parse(&both).unwrap_err().line, Some(2));
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, why) in [
            ("guest 0000:01:00.0 10de:2204 -", "five fields"),
            ("\nvictim 0000:01:00.0 10de:2204 - 030000", "role"),
            ("guest 01:00 10de:2204 - 030000", "address"),
            ("guest 0000:01:00.0 10de - 030000", "an id"),
            ("guest 0000:01:00.0 10de:2204 - 0300", "class"),
            ("guest 0000:01:00.0 - - 030000\nhost 0000:01:00.0 - - 030000", "further up"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.why.contains(why), "{error}");
            assert_eq!(error.line, Some(text.lines().count()), "{text}");
        }
    }
}
