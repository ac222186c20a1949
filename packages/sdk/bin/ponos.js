#!/usr/bin/env node
// npm links a bin only if the file exists at install time, and dist/ does not exist yet in a fresh clone of this repository.
import "../dist/bin.js"
