<?php
require 'common.php';

session_destroy();
answer(['error' => 0, 'err_msg' => '']);
