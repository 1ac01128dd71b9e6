"use strict";

const byId = (id) => document.getElementById(id);
let state = null; // what the model can be asked
let picture = null; // id of the chosen picture

function show(message) {
  byId("message").textContent = message;
  byId("message").hidden = !message;
}

/** Send a request; an answer that is none becomes an error with the server's own words. */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The page's server does not answer. Is it still running?");
  }
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

function clearAnswers() {
  byId("answers").hidden = true;
  byId("inside").hidden = true;
}

function choose(id, name) {
  picture = id;
  byId("preview").src = `pictures/${id}`;
  byId("preview").alt = name;
  byId("preview").hidden = false;
  byId("invitation").hidden = true;
  for (const button of byId("pick").children) {
    button.setAttribute("aria-pressed", String(button.dataset.id === id));
  }
}

function forget() {
  picture = null;
  byId("preview").hidden = true;
  byId("invitation").hidden = false;
}

async function upload(file) {
  show("");
  clearAnswers();
  try {
    if (file.size > state.most_bytes) {
      const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
      throw new Error(
        `${file.name}: ${megabytes(file.size)}; the limit is ${megabytes(state.most_bytes)}`);
    }
    const headers = { "X-File-Name": encodeURIComponent(file.name) };
    const kept = await request("pictures", { method: "POST", headers, body: file });
    choose(kept.id, kept.name);
  } catch (error) {
    forget();
    show(error.message);
  }
}

function chosenSkill() {
  const name = document.querySelector("input[name=skill]:checked").value;
  return state.skills.find((skill) => skill.name === name);
}

function showSkill() {
  const skill = chosenSkill();
  byId("field").textContent = skill.field;
  byId("text").placeholder = skill.example;
  byId("text").rows = skill.lines ? 5 : 1;
  byId("column").textContent = skill.column;
  show("");
  clearAnswers();
}

async function ask(event) {
  event.preventDefault();
  show("");
  clearAnswers();
  if (!picture) return show("Choose a picture first.");
  if (!byId("text").value.trim()) return show("Write a text first.");
  byId("ask").disabled = true;
  try {
    const body = JSON.stringify(
      { skill: chosenSkill().name, picture, text: byId("text").value });
    const headers = { "Content-Type": "application/json" };
    showReply(await request("ask", { method: "POST", headers, body }));
  } catch (error) {
    show(error.message);
  } finally {
    byId("ask").disabled = false;
  }
}

function showReply(reply) {
  byId("rows").replaceChildren(...reply.rows.map(({ name, probability }) => {
    const row = document.createElement("tr");
    const meter = document.createElement("meter");
    meter.value = probability;
    row.insertCell().textContent = name;
    row.insertCell().append(meter, ` ${probability.toFixed(4)}`);
    return row;
  }));
  byId("answers").hidden = false;
  byId("figures").replaceChildren(...reply.figures.map((address) => {
    const image = document.createElement("img");
    image.alt = `Aggregation weights: ${address.split("/").pop()}`;
    image.src = address;
    return image;
  }));
  byId("no-managers").hidden = state.managers;
  byId("inside").hidden = false;
}

function addSkill(skill, index) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "skill", value: skill.name, checked: index === 0 });
  input.addEventListener("change", showSkill);
  label.append(input, ` ${skill.title}`);
  byId("skills").append(label);
}

function addPicture({ id, name, text }) {
  const button = document.createElement("button");
  const image = document.createElement("img");
  Object.assign(image, { src: `pictures/${id}`, alt: name });
  Object.assign(button, { type: "button", title: text || name });
  button.dataset.id = id;
  button.append(image);
  button.addEventListener("click", () => {
    show("");
    clearAnswers();
    choose(id, name);
    if (text) byId("text").value = text;
  });
  byId("pick").append(button);
}

function listenToDrops() {
  const drop = byId("drop");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
  });
}

async function start() {
  try {
    state = await request("state");
  } catch (error) {
    return show(error.message);
  }
  byId("model").textContent = state.model;
  state.skills.forEach(addSkill);
  state.pictures.forEach(addPicture);
  showSkill();
  byId("file").addEventListener("change", () => {
    if (byId("file").files.length) upload(byId("file").files[0]);
    byId("file").value = ""; // the same file may be chosen again
  });
  byId("form").addEventListener("submit", ask);
  byId("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || chosenSkill().lines) return;
    event.preventDefault();
    byId("form").requestSubmit();
  });
  listenToDrops();
}

start();
