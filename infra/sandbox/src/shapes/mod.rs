//! Bitbucket's JSON for the things of the world, as recorded answers show it.

mod commit;
mod pull_request;

use serde_json::{Value, json};

use crate::{
    clock::written,
    world::{Actor, Hook, Project, Repository, Subject, User, Workspace, World},
};

/// A uuid as it stands in a URL: with encoded braces.
pub(crate) fn encoded(uuid: &str) -> String {
    uuid.replace('{', "%7B").replace('}', "%7D")
}

/// Text and its rendering.
pub(crate) fn rendered(raw: &str) -> Value {
    let html =
        if raw.is_empty() { String::new() } else { maud::html! { p { (raw.trim_end()) } }.into_string() };
    json!({"type": "rendered", "raw": raw, "markup": "markdown", "html": html})
}

fn link(href: String) -> Value {
    json!({ "href": href })
}

impl World {
    /// The API's root.
    pub(crate) fn api(&self) -> String {
        format!("{}/2.0", self.base)
    }

    fn repository_api(&self, repository: &Repository) -> String {
        format!("{}/repositories/{}", self.api(), repository.full_name())
    }

    fn repository_html(&self, repository: &Repository) -> String {
        format!("{}/{}", self.base, repository.full_name())
    }

    pub(crate) fn user_json(&self, user: &User) -> Value {
        let uuid = encoded(&user.uuid);
        json!({
            "type": "user",
            "display_name": user.display_name,
            "nickname": user.nickname,
            "uuid": user.uuid,
            "account_id": account_id(&user.uuid),
            "links": {
                "self": link(format!("{}/users/{uuid}", self.api())),
                "avatar": link(format!("{}/avatars/{uuid}", self.base)),
                "html": link(format!("{}/{uuid}/", self.base)),
            },
        })
    }

    /// The answer of `GET /user`, which says more.
    pub(crate) fn account_json(&self, user: &User) -> Value {
        let mut json = self.user_json(user);
        let uuid = encoded(&user.uuid);
        json["links"]["repositories"] = link(format!("{}/repositories/{uuid}", self.api()));
        json["links"]["snippets"] = link(format!("{}/snippets/{uuid}", self.api()));
        json["links"]["hooks"] = link(format!("{}/workspaces/{uuid}/hooks", self.api()));
        json["username"] = json!(user.nickname.to_lowercase().replace(' ', "-"));
        json["created_on"] = json!(written(user.created));
        json["account_status"] = json!("active");
        json["has_2fa_enabled"] = Value::Null;
        json["is_staff"] = json!(false);
        json["location"] = Value::Null;
        json
    }

    pub(crate) fn actor_json(&self, actor: &Actor) -> Value {
        match actor {
            Actor::User(uuid) => self.user(uuid).map_or(Value::Null, |user| self.user_json(user)),
            Actor::App { uuid, name, kind } => json!({
                "type": "app_user",
                "display_name": name,
                "uuid": uuid,
                "account_id": account_id(uuid),
                "account_status": "active",
                "kind": kind,
                "links": {"avatar": link(format!("{}/avatars/{}", self.base, encoded(uuid)))},
            }),
        }
    }

    pub(crate) fn workspace_json(&self, workspace: &Workspace) -> Value {
        let slug = &workspace.slug;
        json!({
            "type": "workspace",
            "uuid": workspace.uuid,
            "name": workspace.name,
            "slug": slug,
            "links": {
                "avatar": link(format!("{}/workspaces/{slug}/avatar/", self.base)),
                "html": link(format!("{}/{slug}/", self.base)),
                "self": link(format!("{}/workspaces/{slug}", self.api())),
            },
        })
    }

    /// The answer of `GET /workspaces/{workspace}`.
    pub(crate) fn workspace_detail_json(&self, workspace: &Workspace) -> Value {
        let mut json = self.workspace_json(workspace);
        let own = format!("{}/workspaces/{}", self.api(), workspace.slug);
        for name in ["hooks", "members", "projects"] {
            json["links"][name] = link(format!("{own}/{name}"));
        }
        json["links"]["owners"] = link(format!("{own}/members?q=permission%3D%22owner%22"));
        json["links"]["repositories"] = link(format!("{}/repositories/{}", self.api(), workspace.slug));
        json["is_private"] = json!(true);
        json["is_privacy_enforced"] = json!(false);
        json["forking_mode"] = json!("allow_forks");
        json["created_on"] = json!(written(workspace.created));
        json
    }

    /// One value of `GET /user/workspaces`.
    pub(crate) fn workspace_access_json(&self, workspace: &Workspace, administrator: bool) -> Value {
        let full = self.workspace_json(workspace);
        json!({
            "type": "workspace_access",
            "administrator": administrator,
            "workspace": {
                "type": "workspace_base",
                "uuid": workspace.uuid,
                "slug": workspace.slug,
                "links": {"avatar": full["links"]["avatar"], "self": full["links"]["self"]},
            },
        })
    }

    /// A repository inside another object.
    pub(crate) fn repository_short_json(&self, repository: &Repository) -> Value {
        json!({
            "type": "repository",
            "full_name": repository.full_name(),
            "name": repository.name,
            "uuid": repository.uuid,
            "links": {
                "self": link(self.repository_api(repository)),
                "html": link(self.repository_html(repository)),
                "avatar": link(format!("{}/ravatar/{}", self.base, encoded(&repository.uuid))),
            },
        })
    }

    /// A repository at the top of a webhook's body: without slug.
    pub(crate) fn repository_event_json(&self, repository: &Repository) -> Value {
        let mut json = self.repository_short_json(repository);
        let workspace = self.workspaces.iter().find(|workspace| workspace.uuid == repository.workspace);
        if let Some(workspace) = workspace {
            json["workspace"] = self.workspace_json(workspace);
            json["owner"] = json!({
                "type": "team",
                "display_name": workspace.name,
                "uuid": workspace.uuid,
                "username": workspace.slug,
                "links": {
                    "self": link(format!("{}/workspaces/{}", self.api(), encoded(&workspace.uuid))),
                    "avatar": link(format!("{}/account/{}/avatar/", self.base, workspace.slug)),
                    "html": link(format!("{}/{}/", self.base, encoded(&workspace.uuid))),
                },
            });
            let project = self.projects.iter().find(|project| project.uuid == repository.project);
            json["project"] =
                project.map_or(Value::Null, |project| self.project_short_json(project, workspace));
        }
        json["scm"] = json!("git");
        json["website"] = Value::Null;
        json["is_private"] = json!(repository.is_private);
        json["parent"] = Value::Null;
        json
    }

    /// The answer of `GET /repositories/{workspace}/{slug}`.
    pub(crate) fn repository_json(&self, repository: &Repository) -> Value {
        let mut json = self.repository_event_json(repository);
        let own = self.repository_api(repository);
        let more = [
            ("pullrequests", "pullrequests"),
            ("commits", "commits"),
            ("forks", "forks"),
            ("watchers", "watchers"),
            ("branches", "refs/branches"),
            ("tags", "refs/tags"),
            ("downloads", "downloads"),
            ("source", "src"),
            ("hooks", "hooks"),
        ];
        for (name, path) in more {
            json["links"][name] = link(format!("{own}/{path}"));
        }
        json["links"]["clone"] = json!([
            {"name": "https", "href": format!("{}.git", self.repository_html(repository))},
            {"name": "ssh", "href": format!("git@bitbucket.org:{}.git", repository.full_name())},
        ]);
        json["slug"] = json!(repository.slug);
        json["description"] = json!(repository.description);
        json["fork_policy"] = json!("no_public_forks");
        json["created_on"] = json!(written(repository.created));
        json["updated_on"] = json!(written(repository.updated));
        json["size"] = json!(0);
        json["language"] = json!("");
        json["mainbranch"] =
            repository.main.as_ref().map_or(Value::Null, |name| json!({"type": "branch", "name": name}));
        json["override_settings"] = json!({"default_merge_strategy": false, "branching_model": false});
        json["has_issues"] = json!(false);
        json["has_wiki"] = json!(false);
        json
    }

    /// A project inside another object.
    fn project_short_json(&self, project: &Project, workspace: &Workspace) -> Value {
        let (slug, key) = (&workspace.slug, &project.key);
        json!({
            "type": "project",
            "key": key,
            "uuid": project.uuid,
            "name": project.name,
            "links": {
                "self": link(format!("{}/workspaces/{slug}/projects/{key}", self.api())),
                "html": link(format!("{}/{slug}/workspace/projects/{key}", self.base)),
                "avatar": link(format!("{}/account/user/{slug}/projects/{key}/avatar/32", self.base)),
            },
        })
    }

    /// The answer of `GET /workspaces/{workspace}/projects/{key}`.
    pub(crate) fn project_json(&self, project: &Project, workspace: &Workspace) -> Value {
        let mut json = self.project_short_json(project, workspace);
        json["workspace"] = self.workspace_json(workspace);
        json["description"] = json!("");
        json["is_private"] = json!(true);
        json["has_publicly_visible_repos"] = json!(false);
        json["created_on"] = json!(written(project.created));
        json["updated_on"] = json!(written(project.created));
        json
    }

    pub(crate) fn hook_json(&self, hook: &Hook) -> Value {
        let (kind, subject, path) = match &hook.subject {
            Subject::Repository(uuid) => {
                let repository = self.repositories.iter().find(|repository| repository.uuid == *uuid);
                let path = repository.map(|repository| format!("repositories/{}", repository.full_name()));
                ("repository", repository.map(|repository| self.repository_short_json(repository)), path)
            }
            Subject::Workspace(uuid) => {
                let workspace = self.workspace(uuid);
                let path = workspace.map(|workspace| format!("workspaces/{}", workspace.slug));
                ("workspace", workspace.map(|workspace| self.workspace_json(workspace)), path)
            }
        };
        let path = format!("{}/{}/hooks/{}", self.api(), path.unwrap_or_default(), encoded(&hook.uuid));
        json!({
            "type": "webhook_subscription",
            "uuid": hook.uuid,
            "description": hook.description,
            "url": hook.url,
            "active": hook.active,
            "events": hook.events,
            "subject_type": kind,
            "subject": subject,
            "created_at": written(hook.created),
            "secret_set": hook.secret.is_some(),
            "history_enabled": false,
            "skip_cert_verification": false,
            "read_only": null,
            "source": null,
            "links": {"self": link(path)},
        })
    }
}

/// The first twelve digits, which Bitbucket shows in pull requests.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn account_id(uuid: &str) -> String {
    format!("712020:{}", uuid.trim_matches(['{', '}']))
}
