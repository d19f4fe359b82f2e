//! What a function's sources say that it needs, read as text.
//!
//! `main.rs` says which settings it reads and which adapter it makes of which setting; the calls of
//! `bucketwheel::store` say what is done to the table.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, has_word, is_word, sources};

/// What the code of one function says.
pub(super) struct Coded {
    main: String,
    /// All of it but the tests.
    pub(super) all: String,
}

pub(super) fn coded(function: &str) -> Coded {
    let files = sources(&[&format!("functions/{function}/src")]);
    let main = files.iter().find(|file| file.path.ends_with("/main.rs")).map(File::code).unwrap();
    // Two adapters may be made of one setting.
    let main = main.replace(".clone()", "");
    let all = files.iter().filter(|file| !file.is_test()).map(File::code).collect();
    Coded { main, all }
}

impl Coded {
    /// The settings that main.rs reads.
    pub(super) fn settings(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (at, _) in self.main.match_indices("\"BUCKETWHEEL_") {
            names.extend(self.main[at + 1..].split('"').next().map(str::to_owned));
        }
        names
    }

    /// Which setting a variable of main.rs holds.
    pub(super) fn setting_of(&self, variable: &str) -> &str {
        let read = format!("let {variable} = settings.");
        let at = self.main.find(&read).unwrap_or_else(|| panic!("main.rs does not say `{read}...`"));
        self.main[at..].split('"').nth(1).unwrap()
    }

    /// The last argument of each call of this function in main.rs.
    pub(super) fn arguments(&self, call: &str) -> Vec<&str> {
        let last = self.all_arguments(call).into_iter().filter_map(|mut arguments| arguments.pop());
        last.filter(|argument| argument.chars().all(is_word)).collect()
    }

    /// The arguments of each call of this function in main.rs.
    pub(super) fn all_arguments(&self, call: &str) -> Vec<Vec<&str>> {
        let calls = self.main.match_indices(call);
        calls
            .map(|(at, _)| self.main[at + call.len()..].split(')').next().unwrap())
            .map(|arguments| arguments.split(',').map(|argument| argument.trim_matches(['&', ' ', '\n'])))
            .map(Iterator::collect)
            .collect()
    }

    /// The routes of an axum router: a path, and the methods that it serves.
    pub(super) fn routes(&self) -> Vec<(String, Vec<&'static str>)> {
        const METHODS: [(&str, &str); 6] = [
            ("get", "GET"),
            ("post", "POST"),
            ("put", "PUT"),
            ("patch", "PATCH"),
            ("delete", "DELETE"),
            ("any", "ANY"),
        ];
        let mut routes = Vec::new();
        for (at, call) in self.all.match_indices(".route(") {
            let arguments = &self.all[at + call.len()..];
            let mut depth = 1;
            let end = arguments.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            let arguments = &arguments[..end.unwrap()];
            let path = arguments.split('"').nth(1).unwrap().to_owned();
            let handlers = arguments.replace("::", "");
            let calls = |word: &str| {
                let word = format!("{word}(");
                handlers.match_indices(&word).any(|(at, _)| !handlers[..at].ends_with(is_word))
            };
            routes.push((
                path,
                METHODS.iter().filter(|(word, _)| calls(word)).map(|(_, method)| *method).collect(),
            ));
        }
        routes
    }

    /// The adapters that main.rs names.
    pub(super) fn adapters(&self) -> Vec<&str> {
        let named = self.main.split("bucketwheel::aws::{").nth(1).and_then(|rest| rest.split('}').next());
        named.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    /// What is done to the table, by itself and by the functions of `bucketwheel::store` that it calls.
    pub(super) fn done_to_the_table(&self) -> BTreeSet<&'static str> {
        let of_the_store = uses_of_the_store();
        let called = of_the_store.iter().filter(|(path, _)| calls_the_store(&self.all, path));
        called.flat_map(|(_, done)| done.iter().copied()).chain(done_to_the_table(&self.all)).collect()
    }
}

/// What each function of `bucketwheel::store` does to the table, by `module::function`.
fn uses_of_the_store() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut uses = BTreeMap::new();
    for file in sources(&["shared/src/store"]) {
        let module = file.path.rsplit('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let code = file.code();
        // From one function to the next. What a private one does, is done by those that call it.
        let bodies: BTreeMap<_, _> = code
            .split("fn ")
            .skip(1)
            .map(|body| (body.chars().take_while(|c| is_word(*c)).collect::<String>(), body))
            .collect();
        for name in bodies.keys() {
            let (mut done, mut seen, mut todo) = (BTreeSet::new(), BTreeSet::new(), vec![name]);
            while let Some(name) = todo.pop() {
                if !seen.insert(name) {
                    continue;
                }
                done.extend(done_to_the_table(bodies[name]));
                todo.extend(bodies.keys().filter(|other| bodies[name].contains(&format!(" {other}("))));
            }
            uses.insert(format!("{module}::{name}"), done);
        }
    }
    assert!(
        uses["tokens::claim"].contains("dynamodb:UpdateItem TABLE"),
        "the store is not read rightly any more"
    );
    uses
}

fn done_to_the_table(code: &str) -> Vec<&'static str> {
    let squeezed: String = code.split_whitespace().collect();
    let says = [
        ("table.get(", "dynamodb:GetItem TABLE"),
        ("table.add(", "dynamodb:UpdateItem TABLE"),
        ("table.put_all(", "dynamodb:BatchWriteItem TABLE"),
        ("Write::Put{", "dynamodb:PutItem TABLE"),
        ("Write::Update{", "dynamodb:UpdateItem TABLE"),
        ("Write::Delete{", "dynamodb:DeleteItem TABLE"),
        ("Write::Check{", "dynamodb:ConditionCheckItem TABLE"),
        ("Query::Partition{", "dynamodb:Query TABLE"),
        ("Query::Due{", "dynamodb:Query TABLE/index/due"),
        ("Query::Recent(", "dynamodb:Query TABLE/index/recent"),
        ("Query::Listing(", "dynamodb:Query TABLE/index/listing"),
    ];
    says.into_iter().filter(|(word, _)| squeezed.contains(word)).map(|(_, action)| action).collect()
}

/// Whether the code calls `module::function` of the store, by that path or by an imported name.
fn calls_the_store(code: &str, path: &str) -> bool {
    let (module, function) = path.split_once("::").unwrap();
    let by_path = code.match_indices(path).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + path.len()..]);
        let ours = before.ends_with("store::") || !before.ends_with(|c| is_word(c) || c == ':');
        ours && !after.starts_with(is_word)
    });
    let import = format!("store::{module}::");
    let by_name = code.match_indices(&import).any(|(at, _)| {
        let imported = code[at + import.len()..].split(';').next().unwrap();
        has_word(imported, function)
    });
    by_path || by_name
}
