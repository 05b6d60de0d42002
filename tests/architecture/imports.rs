//! Which items of its own crate a source text names: the paths behind `crate::` and `super::`.

/// The text without comments, without the content of string and character literals, and without
/// inline test modules: test code may reach further than what ships.
pub(crate) fn code_of(source: &str) -> String {
    let code = without_literals(source);
    let Some(start) = code.find("#[cfg(test)]\nmod ") else { return code };
    // By convention an inline test module is the last thing in a file.
    match code[start..].lines().nth(1) {
        Some(line) if line.ends_with('{') => code[..start].to_owned(),
        _ => code,
    }
}

fn without_literals(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            end_of_string(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            end_of_raw_string(rest)
        } else if first == '\'' {
            end_of_character(rest)
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn end_of_raw_string(text: &str) -> usize {
    let close = if text.starts_with("r#") { "\"#" } else { "\"" };
    let open = 1 + close.len();
    text[open..].find(close).map_or(text.len(), |end| open + end + close.len())
}

/// A character literal is skipped; of a lifetime only the quote.
fn end_of_character(text: &str) -> usize {
    let inner = &text[1..];
    let length = match inner.chars().next() {
        Some('\\') => inner[2..].find('\'').map(|end| end + 2),
        Some(c) => Some(c.len_utf8()),
        None => None,
    };
    match length {
        Some(length) if inner[length..].starts_with('\'') => length + 2,
        _ => 1,
    }
}

/// Every path of the crate that the code names, without the leading `crate::`; `module` is where
/// the file stands (`["policy", "choose"]` for `policy/choose.rs`).
pub(crate) fn imports(code: &str, module: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if starts_a_path(code, at) {
            leaves(&code[at + "crate::".len()..], "", &mut found);
        }
    }
    for (at, _) in code.match_indices("super::") {
        // The later ones of `super::super::` belong to the first.
        if !starts_a_path(code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut above = module;
        while let Some(tail) = rest.strip_prefix("super::") {
            above = &above[..above.len().saturating_sub(1)];
            rest = tail;
        }
        leaves(rest, &above.join("::"), &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn starts_a_path(code: &str, at: usize) -> bool {
    let before = code[..at].chars().next_back();
    before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
}

/// The leaves of one use tree, which begins at the start of `text`; gives what was consumed.
fn leaves(text: &str, prefix: &str, found: &mut Vec<String>) -> usize {
    let name_length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..name_length];
    let path = match (prefix, name) {
        (_, "") => prefix.to_owned(),
        ("", _) => name.to_owned(),
        _ => format!("{prefix}::{name}"),
    };
    let rest = &text[name_length..];
    if let Some(tail) = rest.strip_prefix("::") {
        return name_length + 2 + leaves(tail, &path, found);
    }
    if !(name.is_empty() && rest.starts_with('{')) {
        let star = usize::from(rest.starts_with('*'));
        found.push(path);
        return name_length + star;
    }
    let mut at = 1;
    loop {
        at += rest[at..].find(|c: char| !c.is_whitespace() && c != ',').unwrap_or(rest.len() - at);
        if at >= rest.len() || rest[at..].starts_with('}') {
            return at + 1;
        }
        at += leaves(&rest[at..], prefix, found).max(1);
        // A renaming says nothing about where the item lives.
        if let Some(renamed) = rest[at..].strip_prefix(" as ") {
            at = rest.len() - renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        }
    }
}
