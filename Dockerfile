# The studio on a CPU: docker build -t ecg-r1-studio .
# For this machine alone: docker run -p 127.0.0.1:7860:7860 ecg-r1-studio
FROM python:3.12-slim

WORKDIR /studio
# The CPU wheel of torch first: the default one brings gigabytes of CUDA.
RUN pip install --no-cache-dir "torch>=2.8,<2.14" --index-url https://download.pytorch.org/whl/cpu
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .

# An ordinary user, and no place to keep anything but its temporary folder.
RUN useradd --create-home reader
USER reader
ENV HF_HUB_DISABLE_TELEMETRY=1

EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/health', timeout=5)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
