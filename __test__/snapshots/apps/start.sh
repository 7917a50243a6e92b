#!/bin/bash
node hidden.js
