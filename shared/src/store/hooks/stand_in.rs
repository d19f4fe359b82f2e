//! Hooks of repositories that stand in for one of their workspace, where Bitbucket refuses that: only an owner
//! of the workspace may make it, and an administrator of a repository may make that one's
//! (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/>).

use super::{Attached, HookSecrets};

impl HookSecrets {
    /// Those that stand in for a workspace's.
    pub fn stand_ins(&self, workspace: &str) -> Vec<Attached> {
        let of_workspace = |hook: &&Attached| hook.stands_in_for.as_deref() == Some(workspace);
        self.hooks.iter().filter(of_workspace).cloned().collect()
    }

    /// Whether others stand in for a workspace's.
    pub fn has_stand_ins(&self, workspace: &str) -> bool {
        self.hooks.iter().any(|hook| hook.stands_in_for.as_deref() == Some(workspace))
    }

    /// Lets these repositories stand in for their workspace, with what is wanted of it, and no others. One
    /// that somebody attached by itself stays as it is.
    pub fn stand_in(&mut self, workspace: &str, repositories: &[String]) {
        let Some(of_workspace) = self.hooks.iter().find(|hook| hook.subject == workspace).cloned() else {
            return;
        };
        self.hooks.retain(|hook| {
            hook.stands_in_for.as_deref() != Some(workspace) || repositories.contains(&hook.subject)
        });
        for repository in repositories {
            if !self.hooks.iter().any(|hook| hook.subject == *repository) {
                self.hooks.push(Attached::new(repository, &of_workspace.events));
            } else if !self.stand_ins(workspace).iter().any(|hook| hook.subject == *repository) {
                continue;
            }
            for hook in self.hooks.iter_mut().filter(|hook| hook.subject == *repository) {
                hook.events.clone_from(&of_workspace.events);
                hook.filter.clone_from(&of_workspace.filter);
                hook.stands_in_for = Some(workspace.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(hooks: &[Attached]) -> Vec<&str> {
        hooks.iter().map(|hook| hook.subject.as_str()).collect()
    }

    #[test]
    fn stand_ins_follow_their_workspace_and_leave_others_alone() {
        let of = |names: &[&str]| names.iter().map(|name| format!("w/{name}")).collect::<Vec<_>>();
        let mut stored = HookSecrets::unmade();
        stored.attach("w/own", &["repo:fork".to_owned()]);
        stored.attach("w", &["repo:push".to_owned()]);
        stored.stand_in("w", &of(&["a", "own", "b"]));
        assert_eq!(subjects(&stored.stand_ins("w")), ["w/a", "w/b"]);
        assert_eq!(stored.stand_ins("w")[0].events, ["repo:push"]);
        assert_eq!(stored.hooks[0].events, ["repo:fork"]);

        stored.attach("w", &["repo:*".to_owned()]);
        stored.stand_in("w", &of(&["b", "c", "own"]));
        assert_eq!(subjects(&stored.stand_ins("w")), ["w/b", "w/c"]);
        assert!(stored.stand_ins("w").iter().all(|hook| hook.events == ["repo:*"]));

        stored.attach("w/b", &["repo:push".to_owned()]);
        assert_eq!(
            subjects(&stored.stand_ins("w")),
            ["w/c"],
            "what somebody wants by itself stands in for nothing"
        );
        stored.detach("w");
        assert_eq!(subjects(&stored.hooks), ["w/own", "w/b"]);
    }
}
