//! How a world begins, and what is added to it.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::{
    Error, Settings,
    clock::Clock,
    git::{Edits, Git, Mode, Signature},
    journal::Journal,
    limit::Limits,
    oauth::Ledger,
    random::{self, Seed},
    seed,
    settings::{AccessTokenSettings, ApiTokenSettings},
    world::{Project, Repository, Role, User, Workspace, World},
};

impl World {
    /// A world with the seeded people and repositories.
    ///
    /// # Errors
    /// If the settings name a person, workspace or repository that does not exist.
    pub(crate) fn new(base: String, settings: Settings, seed: &Seed) -> Result<Self, Error> {
        let clock = Clock::default();
        let now = clock.now();
        let mut world = Self {
            base,
            clock,
            behaviour: settings.behaviour,
            ledger: Ledger::default(),
            limits: Limits::default(),
            journal: Journal::default(),
            users: Vec::new(),
            workspaces: Vec::new(),
            projects: Vec::new(),
            repositories: Vec::new(),
            api_tokens: Vec::new(),
            access_tokens: Vec::new(),
            hooks: Vec::new(),
            deliveries: VecDeque::new(),
            outbox: Vec::new(),
        };
        world.plant(now)?;
        for (at, consumer) in settings.consumers.into_iter().enumerate() {
            world.ledger.register(consumer, &random::derived(seed, &format!("consumer {at}")));
        }
        for (at, token) in settings.api_tokens.into_iter().enumerate() {
            world.add_api_token(token, &random::derived(seed, &format!("API token {at}")))?;
        }
        for (at, token) in settings.access_tokens.into_iter().enumerate() {
            world.add_access_token(token, &random::derived(seed, &format!("access token {at}")))?;
        }
        Ok(world)
    }

    fn plant(&mut self, now: Timestamp) -> Result<(), Error> {
        let people = [
            (seed::ADA_UUID, "Ada Lindt", seed::ADA_EMAIL, Role::Owner),
            (seed::BO_UUID, "Bo Okafor", seed::BO_EMAIL, Role::Member),
        ];
        self.workspaces.push(Workspace {
            uuid: seed::WORKSPACE_UUID.to_owned(),
            slug: seed::WORKSPACE.to_owned(),
            name: "Seilbahn".to_owned(),
            members: people.iter().map(|(uuid, .., role)| ((*uuid).to_owned(), *role)).collect(),
            created: now,
        });
        for (uuid, name, email, _) in people {
            self.users.push(User {
                uuid: uuid.to_owned(),
                display_name: name.to_owned(),
                nickname: name.to_owned(),
                email: email.to_owned(),
                created: now,
            });
        }
        let projects = [
            ("{5e11ba47-0000-4000-8000-0000000000f1}", seed::PROJECT, "Seilbahn"),
            ("{5e11ba47-0000-4000-8000-0000000000f2}", seed::WEB_PROJECT, "Web"),
        ];
        for (uuid, key, name) in projects {
            self.projects.push(Project {
                uuid: uuid.to_owned(),
                workspace: seed::WORKSPACE_UUID.to_owned(),
                key: key.to_owned(),
                name: name.to_owned(),
                created: now,
            });
        }
        let repositories = [
            (seed::INFRASTRUCTURE_UUID, "infrastructure", seed::PROJECT),
            (seed::WEBSITE_UUID, "website", seed::WEB_PROJECT),
            (seed::LEER_UUID, "leer", seed::PROJECT),
        ];
        for (uuid, slug, project) in repositories {
            let files = seed::FILES.iter().filter(|(repository, ..)| *repository == slug);
            let files: Vec<_> =
                files.map(|(_, path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
            let at = self.add_repository(seed::WORKSPACE, slug, uuid.to_owned(), files, now)?;
            self.assign(at, project)?;
        }
        Ok(())
    }

    /// Puts a repository into a project of its workspace.
    ///
    /// # Errors
    /// If there is no such project.
    pub(crate) fn assign(&mut self, at: usize, key: &str) -> Result<(), Error> {
        let missing = || Error::NotFound(format!("project {key}"));
        let project = self.project(&self.repositories[at].workspace, key).ok_or_else(missing)?.uuid.clone();
        self.repositories[at].project = project;
        Ok(())
    }

    /// Adds a repository to its workspace's first project, with a first commit on `main` if there are files.
    ///
    /// # Errors
    /// If there is no such workspace or the name is taken.
    pub(crate) fn add_repository(
        &mut self,
        workspace: &str,
        slug: &str,
        uuid: String,
        files: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<usize, Error> {
        let missing = || Error::NotFound(format!("workspace {workspace}"));
        let workspace = self.workspaces.iter().find(|known| known.slug == workspace).ok_or_else(missing)?;
        let taken = |known: &Repository| known.workspace == workspace.uuid && known.slug == slug;
        if self.repositories.iter().any(taken) {
            return Err(Error::Taken(format!("repository {}/{slug}", workspace.slug)));
        }
        let project = self.projects.iter().find(|project| project.workspace == workspace.uuid);
        let mut repository = Repository {
            uuid,
            workspace: workspace.uuid.clone(),
            project: project.map(|project| project.uuid.clone()).unwrap_or_default(),
            workspace_slug: workspace.slug.clone(),
            slug: slug.to_owned(),
            former_slugs: Vec::new(),
            name: slug.to_owned(),
            description: String::new(),
            is_private: true,
            main: None,
            git: Git::default(),
            pull_requests: Vec::new(),
            statuses: Vec::new(),
            pipelines: Vec::new(),
            merges: Vec::new(),
            created: now,
            updated: now,
        };
        if !files.is_empty() {
            let edits: Edits = files
                .into_iter()
                .map(|(path, text)| {
                    let mode = if path.ends_with(".sh") { Mode::Executable } else { Mode::File };
                    (path, Some((text.into(), mode)))
                })
                .collect();
            let tree = repository.git.edited(&Default::default(), &edits).map_err(Error::NotFound)?;
            let author = format!("Ada Lindt <{}>", seed::ADA_EMAIL);
            let signature = Signature { author, date: now, message: "First commit\n".to_owned() };
            let hash = repository.git.write(tree.into(), Vec::new(), signature);
            repository.git.branches.insert("main".to_owned(), hash);
            repository.main = Some("main".to_owned());
        }
        self.repositories.push(repository);
        Ok(self.repositories.len() - 1)
    }

    /// Adds a person's API token.
    ///
    /// # Errors
    /// If nobody has the e-mail address.
    pub(crate) fn add_api_token(
        &mut self,
        mut token: ApiTokenSettings,
        seed: &Seed,
    ) -> Result<ApiTokenSettings, Error> {
        if !self.users.iter().any(|user| user.email == token.email) {
            return Err(Error::NotFound(format!("person with the e-mail address {}", token.email)));
        }
        if token.token.is_empty() {
            token.token = format!("ATATT{}", random::text(seed, "API token", 140));
        }
        self.api_tokens.push(token.clone());
        Ok(token)
    }

    /// Ends an API token or an access token, as its owner does in the settings. False: there is none.
    pub(crate) fn revoke_token(&mut self, token: &str) -> bool {
        let before = self.api_tokens.len() + self.access_tokens.len();
        self.api_tokens.retain(|known| known.token != token);
        self.access_tokens.retain(|known| known.token != token);
        self.api_tokens.len() + self.access_tokens.len() < before
    }

    /// Adds an access token.
    ///
    /// # Errors
    /// If its workspace, project or repository does not exist.
    pub(crate) fn add_access_token(
        &mut self,
        mut token: AccessTokenSettings,
        seed: &Seed,
    ) -> Result<AccessTokenSettings, Error> {
        let workspace = &token.workspace;
        let known = match (&token.repository, &token.project) {
            (Some(slug), _) => self.repository_named(&format!("{workspace}/{slug}")).is_some(),
            (None, Some(key)) => self.project(workspace, key).is_some(),
            (None, None) => self.workspace(workspace).is_some(),
        };
        if !known {
            let part = token.repository.or(token.project).unwrap_or_default();
            return Err(Error::NotFound(format!("{workspace}/{part}")));
        }
        if token.token.is_empty() {
            token.token = format!("ATCTT{}", random::text(seed, "access token", 140));
        }
        self.access_tokens.push(token.clone());
        Ok(token)
    }
}
