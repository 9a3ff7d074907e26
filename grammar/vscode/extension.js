// Starts `llamasim lsp` and lets VS Code speak with it.
"use strict";

const path = require("path");
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

/** Returns the command of the server; a relative path begins at the opened folder. */
function command() {
  const [program, ...args] = vscode.workspace.getConfiguration("llamasim").get("command");
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const isPath = program.includes("/") || program.includes(path.sep);
  const found = folder && isPath ? path.resolve(folder, program) : program;
  return { command: found, args, options: { cwd: folder } };
}

/** Returns the files to speak of. */
function files() {
  const rules = [
    { scheme: "file", language: "llamasim-rules" },
    { scheme: "untitled", language: "llamasim-rules" },
  ];
  const scenarios = vscode.workspace.getConfiguration("llamasim").get("scenarios");
  return scenarios ? [...rules, { scheme: "file", language: "yaml" }] : rules;
}

async function start() {
  client = new LanguageClient("llamasim", "llamasim", command(), { documentSelector: files() });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `llamasim: ${error.message}. Install it with: pip install "llamasim[lsp]", ` +
        "and set llamasim.command if it is not on the PATH."
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.needsStop()) {
    await running.stop();
  }
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("llamasim.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("llamasim")) {
        restart();
      }
    })
  );
  await start();
}

module.exports = { activate, deactivate: stop };
